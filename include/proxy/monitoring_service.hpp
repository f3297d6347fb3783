#pragma once

#include <atomic>
#include <random>

#include "common/heartbeats.hpp"
#include "common/log.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/alarms.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/membership.hpp"
#include "proxy/tcp_checks.hpp"

namespace farol::proxy {

/// The monitoring half of the proxy: three threads over one socket and the table.
///  - receiver (report: Receptor): every packet that arrives, through Membership
///  - timer (TimerProbeRequest): probe requests when they are due, from the table's schedule, one thread for all
///  - alarm (AlarmeTimeoutProbeRequest, AlarmeAgenteAtivo): Alarms, and the TCP checks it asks for
/// Owned by main; borrows everything it is given. stop() joins all three.
class MonitoringService {
 public:
  MonitoringService(BackendTable& table, monitoring::MonitoringSocket& socket, Membership& membership,
                    const MonitoringConfig& timers, const Logger& log, Heartbeats* heartbeats = nullptr);
  ~MonitoringService() { stop(); }
  MonitoringService(const MonitoringService&) = delete;
  MonitoringService& operator=(const MonitoringService&) = delete;

  /// Other timers from now on; whose next probe would be later than that is asked within the interval. Any thread.
  void change_timers(const MonitoringConfig& timers);

  /// On: does nothing until it is off again; what was missed then counts as if this process had slept. Any thread.
  void pause(bool on) { paused_ = on; }

  enum class Farewell { none, told };
  /// Ends the threads, then tells every agent that this proxy leaves, so that they look for its successor at once; unless
  /// somebody follows it that they will not tell from it.
  void stop(Farewell farewell = Farewell::told);

 private:
  bool sit_out(Heartbeats::Pulse& pulse);
  void receive_all();
  void probe_all();
  void watch_all();
  void send_due_probes();
  [[nodiscard]] TimePoint next_probe() const;
  void run_checks(TimePoint until);
  void say_goodbye() const;

  BackendTable& table_;
  monitoring::MonitoringSocket& socket_;
  Membership& membership_;  ///< the receiver's alone
  Alarms alarms_;           ///< the alarm thread's alone
  TcpChecks checks_;        ///< likewise
  std::minstd_rand random_{std::random_device{}()};  ///< the timer's alone
  Snapshot<MonitoringConfig> timers_;
  const Logger& log_;
  Heartbeats* const heartbeats_;  ///< all three threads are vital
  std::atomic<bool> paused_{false};
  StopEvent stop_;
  Thread receiver_, timer_, alarm_;
};

}  // namespace farol::proxy
