#include <malloc.h>
#include <unistd.h>

#include <csignal>

#include "common/signals.hpp"
#include "gateway/config.hpp"
#include "gateway/server.hpp"

namespace farol::gateway {
namespace {

constexpr auto kDrainLook = std::chrono::milliseconds(50);

/// Waits for the responses to end by themselves; a second signal or the drain time-out ends the wait.
void drain(const GatewayServer& server, const SignalWaiter& signals, const Config& config, const Logger& log) {
  const TimePoint deadline = Clock::now() + config.drain_timeout;
  log.info("draining", {{"active", server.active()}, {"timeout_s", to_seconds(config.drain_timeout), 1}});
  while (server.active() > 0 && Clock::now() < deadline)
    if (signals.wait(std::min(deadline, Clock::now() + kDrainLook)) != 0) break;
  if (server.active() > 0) log.warn("cutting connections", {{"active", server.active()}});
}

int run(int argc, const char* const* argv) {
  Config config;
  if (const auto done = parse_config(argc, argv, config)) return *done;
  if (config.common.check_config) {
    fmt::print("configuration is valid\n");
    return 0;
  }
  ::mallopt(M_ARENA_MAX, 2);  // many threads, few of which allocate at once
  const Logger log(STDERR_FILENO, config.common.log_level, config.common.log_format);
  const SignalWaiter signals{SIGTERM, SIGINT};
  GatewayServer server(config, log);
  signals.wait();
  server.stop_accepting();
  drain(server, signals, config, log);
  server.finish();
  log.info("stopped");
  return 0;
}

}  // namespace
}  // namespace farol::gateway

int main(int argc, char** argv) {
  return farol::run_program("HttpGw", [&] { return farol::gateway::run(argc, argv); });
}
