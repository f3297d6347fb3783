#include <malloc.h>
#include <unistd.h>

#include <csignal>

#include "common/drain.hpp"
#include "common/signals.hpp"
#include "gateway/config.hpp"
#include "gateway/server.hpp"

namespace farol::gateway {
namespace {

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
  serve_until_signalled(server, signals, log);
  return 0;
}

}  // namespace
}  // namespace farol::gateway

int main(int argc, char** argv) {
  return farol::run_program("HttpGw", [&] { return farol::gateway::run(argc, argv); });
}
