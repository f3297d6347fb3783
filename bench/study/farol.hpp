#pragma once

#include <random>
#include <vector>

#include "common/log.hpp"
#include "dispatcher.hpp"
#include "proxy/alarms.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/counters.hpp"
#include "proxy/membership.hpp"
#include "world.hpp"

namespace farol::study {

/// The product's own table, membership rules, alarms and policies, in virtual time: only sockets and threads are missing,
/// so what is simulated is what runs. One instance is one proxy.
class Farol final : public Dispatcher {
 public:
  struct Settings {
    proxy::Policy policy = proxy::Policy::weighted;
    double probe_interval = 5;                ///< seconds
    proxy::WeightedConfig weighted = proxy::WeightedConfig::for_interval(std::chrono::seconds(5));
  };

  Farol(World& world, const Settings& settings, std::uint64_t seed);
  std::unique_ptr<Connection> open(std::span<const std::size_t> tried) override;
  void join(std::size_t backend) override { register_agent(backend); }

 private:
  class Lease;

  [[nodiscard]] TimePoint now() const;
  void register_agent(std::size_t machine);
  void send_due_probes();
  void answer(std::size_t machine, const monitoring::ProbeRequest& request);
  void look_after();

  World& world_;
  const proxy::MonitoringConfig timers_;
  std::mt19937_64 random_;
  const Logger log_{-1, LogLevel::error, LogFormat::text};
  proxy::Counters counters_;
  proxy::BackendTable table_;
  proxy::Membership membership_;
  proxy::Alarms alarms_;
  proxy::Pool& pool_;
  std::vector<Machine::Meter> meters_;
  std::vector<std::uint64_t> ids_;  ///< of the rows, by machine; 0: none yet
  unsigned looks_ = 0;
};

}  // namespace farol::study
