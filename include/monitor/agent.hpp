#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "monitor/load_reporter.hpp"
#include "monitor/registrations.hpp"
#include "monitoring/monitoring_socket.hpp"

namespace farol::monitor {

/// The agent of a back-end (the report's MonitorUDP): registers with its proxies and answers their probes.
/// Owned by main. Borrows all it is given, which must outlive it.
/// Thread safety: run_register() and run_answer() have a thread each; any thread may call set_proxies();
/// main calls toggle_draining(), and deregister() when both threads have ended. mutex_ guards the registrations;
/// nothing is sent, measured or logged under it.
class Agent {
 public:
  Agent(monitoring::Service service, Duration interval, monitoring::MonitoringSocket& socket, LoadReporter& reporter,
        const Logger& log);

  /// The proxies' addresses, as the resolver finds them. Addresses that our socket cannot reach are left out.
  void set_proxies(const std::vector<Address>& proxies, TimePoint now);
  /// Sends Registers as they fall due, until the stop.
  void run_register(const StopEvent& stop);
  /// Answers probes, until the stop.
  void run_answer(const StopEvent& stop);
  /// Tells every proxy that probed us that we are gone.
  void deregister();
  /// Flips the flag that every answer carries; returns it.
  bool toggle_draining();

 private:
  void send_register(const Registrations::Due& due, TimePoint now);
  void handle(const monitoring::Received& received);
  void answer(const monitoring::Envelope& request, const monitoring::ProbeRequest& probe, TimePoint now);
  void drop(monitoring::DropReason reason, const Address& source, TimePoint now);
  CpuBaseline& baseline_of(const Address& proxy);

  const monitoring::Service service_;
  const Duration interval_;
  monitoring::MonitoringSocket& socket_;
  LoadReporter& reporter_;
  const Logger& log_;
  const bool ipv4_only_;

  std::atomic<bool> draining_{false};
  Bell schedule_changed_;

  // The register thread's.
  RateLimit unsent_{std::chrono::seconds(10)};
  // The answer thread's.
  RateLimit drops_{std::chrono::seconds(1)};
  std::map<Address, CpuBaseline> baselines_;

  Mutex mutex_;
  Registrations registrations_ GUARDED_BY(mutex_);
};

}  // namespace farol::monitor
