#pragma once

#include <algorithm>
#include <chrono>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/service_manager.hpp"
#include "common/signals.hpp"

namespace farol {

/// The life of a server from its start to its end: until TERM or INT it serves, then it accepts nobody and those who are
/// there may end by themselves; a second signal or the time-out cuts what is left. For main, which owns the server.
template <typename Server>
void serve_until_signalled(Server& server, const SignalWaiter& signals, Duration drain_timeout, const Logger& log) {
  constexpr auto kLook = std::chrono::milliseconds(50);
  notify_ready();
  signals.wait();
  notify_stopping();
  server.stop_accepting();
  const TimePoint deadline = Clock::now() + drain_timeout;
  log.info("draining", {{"active", server.active()}, {"timeout_s", to_seconds(drain_timeout), 1}});
  while (server.active() > 0 && Clock::now() < deadline)
    if (signals.wait(std::min(deadline, Clock::now() + kLook)) != 0) break;
  if (server.active() > 0) log.warn("cutting connections", {{"active", server.active()}});
  server.finish();
  log.info("stopped");
}

}  // namespace farol
