#include <malloc.h>
#include <unistd.h>

#include <csignal>

#include "common/drain.hpp"
#include "common/signals.hpp"
#include "proxy/config.hpp"
#include "proxy/server.hpp"

namespace farol::proxy {
namespace {

int run(int argc, const char* const* argv) {
  Config config;
  if (const auto done = parse_config(argc, argv, config)) return *done;
  if (config.common.check_config) {
    if (!config.key_file.empty()) monitoring::KeyRing::load(config.key_file);
    account_to_become(config.user);
    fmt::print("configuration is valid\n");
    return 0;
  }
  ::mallopt(M_ARENA_MAX, 2);  // thousands of threads, few of which allocate at once
  const Logger log(STDERR_FILENO, config.common.log_level, config.common.log_format);
  const SignalWaiter signals{SIGTERM, SIGINT};
  Server server(config, log);
  serve_until_signalled(server, signals, config.drain_timeout, log);
  return 0;
}

}  // namespace
}  // namespace farol::proxy

int main(int argc, char** argv) {
  return farol::run_program("reverseProxy", [&] { return farol::proxy::run(argc, argv); });
}
