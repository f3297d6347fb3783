#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/backend_table.hpp"
#include "proxy/backend_types.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// What a proxy tells the process that follows it, besides its sockets: the back-ends that agents have registered, and what
/// the operator has ordered.
struct HandoverNotes {
  struct Agent {
    AgentPath path;
    std::uint16_t port = 0;  ///< of its service
    std::uint32_t pool = 0;
    std::uint64_t boot_id = 0;
    Duration register_interval{};
    bool draining = false, silent = false;
    bool operator==(const Agent&) const = default;
  };

  std::string engine;
  bool memory_is_private = false;  ///< executing a program ends that
  std::vector<Address> kept;  ///< listeners that the service manager keeps
  std::vector<Agent> agents;
  std::map<BackendKey, AdminState> orders;
};

std::string format_notes(const HandoverNotes& notes);
/// Takes what it understands: it may be another version that wrote it.
HandoverNotes parse_notes(std::string_view text);

/// Those whom the table has from agents.
std::vector<HandoverNotes::Agent> agents_of(BackendTable& table);
/// Puts them into a new table, each as it was: who spoke is up, the services of the silent are checked. All are probed at
/// once.
void add_agents(BackendTable& table, const std::vector<HandoverNotes::Agent>& agents, const MonitoringConfig& timers,
                TimePoint now);
/// So many that are not silent have not answered a probe yet.
std::size_t unheard_agents(BackendTable& table);

}  // namespace farol::proxy
