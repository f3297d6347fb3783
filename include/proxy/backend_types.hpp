#pragma once

#include <cstdint>

#include "common/address.hpp"
#include "common/clock.hpp"

namespace farol::proxy {

/// Who a back-end is: the address and port of its service, in a pool.
struct BackendKey {
  Address address;
  std::uint32_t pool = 0;
  auto operator<=>(const BackendKey&) const = default;
};

/// The timers of monitoring, the report's three first.
struct MonitoringConfig {
  Duration probe_interval = std::chrono::milliseconds(5000);
  Duration probe_timeout = std::chrono::milliseconds(500);
  Duration alive_interval = std::chrono::milliseconds(10000);
  Duration check_timeout = std::chrono::seconds(1);  ///< of one TCP check
};

/// Where an agent is reached: the address its packets come from, and ours at which they arrive.
struct AgentPath {
  Address peer;
  Address local;
  unsigned interface = 0;
  bool operator==(const AgentPath&) const = default;
};

/// A second agent that claims this identity and has answered a challenge; it takes over if the incumbent is silent.
struct Contender {
  AgentPath path;
  std::uint64_t boot_id = 0;
  std::uint32_t decided_by = 0;  ///< sequence number of the probe of the incumbent that decides
};

/// A probe without an answer yet.
struct OutstandingProbe {
  std::uint32_t sequence = 0;
  std::uint64_t nonce = 0;
  TimePoint sent{}, deadline{};
  bool voided = false;    ///< an answer is welcome, its absence means nothing
  bool late = false;      ///< answered, but too late
  bool in_doubt = false;  ///< asked while an agent-alive check was put off, and not for its interval
};

/// One of the last two probes: what a Deregister must name, and what a late answer may still answer.
struct RecentProbe {
  std::uint32_t sequence = 0;
  std::uint64_t nonce = 0;
  bool answered = false;
};

}  // namespace farol::proxy
