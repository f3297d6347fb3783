#pragma once

#include <algorithm>
#include <chrono>
#include <functional>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/service_manager.hpp"
#include "common/signals.hpp"

namespace farol {

/// The life of a server from its start to its end: it serves until a signal that `goes_on` does not say to go on after,
/// which it is asked for each (without it: until the first); then it accepts nobody and those who are there may end by
/// themselves; a second such signal or the time-out cuts what is left. For main, which owns the server.
template <typename Server>
void serve_until_signalled(Server& server, const SignalWaiter& signals, const Logger& log,
                           const std::function<bool(int)>& goes_on = {}) {
  constexpr auto kLook = std::chrono::milliseconds(50);
  notify_ready();
  while (const int signal = signals.wait())
    if (!goes_on || !goes_on(signal)) break;
  server.stop_accepting();
  const Duration drain_timeout = server.drain_timeout();
  const TimePoint deadline = Clock::now() + drain_timeout;
  log.info("draining", {{"active", server.active()}, {"timeout_s", to_seconds(drain_timeout), 1}});
  while (server.active() > 0 && Clock::now() < deadline)
    if (const int signal = signals.wait(std::min(deadline, Clock::now() + kLook)); signal != 0)
      if (!goes_on || !goes_on(signal)) break;
  if (server.active() > 0) log.warn("cutting connections", {{"active", server.active()}});
  server.finish();
  log.info("stopped");
}

}  // namespace farol
