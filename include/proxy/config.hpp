#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/engine.hpp"
#include "common/program.hpp"
#include "monitoring/packet.hpp"
#include "proxy/backend.hpp"
#include "proxy/policy.hpp"
#include "proxy/weighted_config.hpp"

namespace farol::proxy {

/// Attempts on other back-ends, where --retries says nothing.
inline constexpr int kRetries = 3;

/// Everything reverseProxy can be told, with the defaults of the report where it has any.
struct Config {
  struct Endpoint {
    Address address;
    std::string pool{monitoring::kDefaultPool};
  };

  std::vector<Endpoint> listen;            ///< empty on the command line: ":80"
  Address monitor_listen = Address::any(monitoring::kDefaultPort);
  struct StaticBackend : Endpoint {
    double weight = 1;
    bool backup = false;  ///< only when no other can be chosen
    std::optional<std::uint32_t> max_connections;  ///< in place of max_connections_per_backend
  };
  std::vector<StaticBackend> backends;
  bool require_agent = false;              ///< silence means down; static back-ends have no agent and no need of one
  EngineKind engine = EngineKind::threads;
  std::size_t workers = 0;                 ///< reactors of the events engine; parse_config makes 0 the number of cores
  Policy policy = Policy::weighted;
  std::map<std::string, Policy> pool_policies;
  MonitoringConfig timers;
  WeightedConfig weighted;                 ///< parse_config derives it from the probe interval
  Duration connect_timeout = std::chrono::seconds(5);
  Duration idle_timeout = std::chrono::hours(1);
  Duration fin_timeout = std::chrono::seconds(30);
  Duration user_timeout = std::chrono::seconds(30);
  Duration max_lifetime{};                 ///< 0: any
  Duration drain_timeout = std::chrono::seconds(30);
  std::optional<int> retries;  ///< not given: kRetries, and more while all of it takes less than connect_timeout
  std::size_t max_connections = 0;         ///< 0: as many as the limits of the process allow
  std::uint32_t max_connections_per_backend = 0, max_connections_per_source = 0;  ///< 0: no limit
  std::size_t max_queue = 1024;            ///< clients of one pool waiting for a back-end
  Duration queue_timeout = std::chrono::milliseconds(900);
  std::string key_file;
  std::string state_file;                  ///< where the agents are kept for the next life; empty: nowhere
  std::string user;                        ///< whom to become when started as root; empty: farol, else nobody
  std::vector<Cidr> allow;                 ///< empty: everyone with a key, else loopback, private and link-local
  std::optional<Address> admin = Address::ipv4(0x7f000001, 8404);
  std::string admin_token_file;            ///< what a change through it must show; empty: only from loopback
  std::vector<std::string> admin_names;    ///< that it may be called by
  CommonOptions common;
};

/// Parses the command line (and the file behind --config). An exit code means: done, as --help is. Throws UsageError.
std::optional<int> parse_config(int argc, const char* const* argv, Config& config);

}  // namespace farol::proxy
