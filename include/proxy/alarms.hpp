#pragma once

#include <optional>
#include <vector>

#include "common/log.hpp"
#include "common/snapshot.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/notices.hpp"
#include "proxy/tcp_checks.hpp"

namespace farol::proxy {

/// The report's AlarmeTimeoutProbeRequest (a probe without an answer in time is lost) and AlarmeAgenteAtivo (an agent
/// from which nothing came between two checks is silent; it is asked until chance cannot be why), and what follows from
/// them: TCP checks of the service, rows that are forgotten, contenders that win. Rules with an explicit `now`; called by
/// the alarm thread alone.
class Alarms {
 public:
  Alarms(BackendTable& table, const MonitoringConfig& timers, const Logger& log)
      : table_(table), timers_(timers), log_(log) {}

  struct CheckToStart {
    std::uint64_t backend = 0;
    Address service;
  };
  /// Looks at every row to which something is due. `we_slept`: this process did not run for a while (stopped, machine
  /// suspended), so missing packets prove nothing: all outstanding probes are void and every alive period starts anew.
  std::vector<CheckToStart> tick(TimePoint now, bool we_slept);
  void check_done(const TcpChecks::Result& result, TimePoint now);

  /// Other timers from now on. Any thread.
  void change_timers(const MonitoringConfig& timers) { timers_.set(timers); }

 private:
  using Access = BackendTable::Access;
  void probe_timeouts(const Access& rows, Backend& backend, const MonitoringConfig& timers, TimePoint now,
                      bool we_slept, Notices& notices) const;
  void agent_alive(const Access& rows, Backend& backend, const MonitoringConfig& timers, TimePoint now, bool we_slept,
                   Notices& notices) const;
  void forget(const Access& rows, Backend& backend, TimePoint now, Notices& notices) const;
  [[nodiscard]] std::optional<CheckToStart> due_check(Backend& backend, const MonitoringConfig& timers,
                                                      TimePoint now) const;

  BackendTable& table_;
  Snapshot<MonitoringConfig> timers_;
  const Logger& log_;
};

/// The report's names, see docs/GLOSSARY.md.
using ProbeTimeoutAlarm = Alarms;
using AgentAliveAlarm = Alarms;

}  // namespace farol::proxy
