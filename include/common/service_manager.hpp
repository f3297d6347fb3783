#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/heartbeats.hpp"
#include "common/log.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"

namespace farol {

/// What a service manager (systemd, by libsystemd) is told: nothing, where none asked to be (NOTIFY_SOCKET). A message
/// that cannot be sent is lost, for there is nobody to say it to. Any thread.

/// Sockets that it has bound for this process (LISTEN_FDS, sd_listen_fds(3)); none where it gave none to it. Once, before
/// there are threads. Throws StartError.
std::vector<Fd> sockets_of_service_manager();

/// Everything listens.
void notify_ready();
/// A new configuration is being read; notify_ready() says when that is over.
void notify_reloading();
/// From now on the service is that process, which follows this one.
void notify_successor(pid_t process);
/// The drain has begun.
void notify_stopping();

/// How long it waits for a sign of life before it restarts us (WatchdogSec=, WATCHDOG_USEC); nothing: for ever.
std::optional<Duration> watchdog_limit();
/// What that leaves every thread: the other half is for a sign that has just been given when one gets stuck. Zero when
/// nobody waits.
Duration watchdog_patience();

/// A thread that tells the service manager how things stand and, as long as every vital thread goes round, that we are
/// alive. It does not start where nobody listens. Owned by whoever owns what `status` looks at, and ends before it.
class ServiceReporter {
 public:
  /// `status`: one line, called now and then on the reporter's thread.
  ServiceReporter(const Heartbeats& heartbeats, std::function<std::string()> status, const Logger& log);
  ~ServiceReporter();
  ServiceReporter(const ServiceReporter&) = delete;
  ServiceReporter& operator=(const ServiceReporter&) = delete;

 private:
  void report_all();

  const Heartbeats& heartbeats_;
  const std::function<std::string()> status_;
  const Logger& log_;
  StopEvent stop_;
  Thread thread_;
};

}  // namespace farol
