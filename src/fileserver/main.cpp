// FastFileSrv: serves a directory to an HTTP gateway (report 000, chapter 4.1). Threads: main waits for signals; one
// joins the gateway and answers it, one hashes files when there is nothing else to do.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/error.hpp"
#include "common/limits.hpp"
#include "common/signals.hpp"
#include "common/thread.hpp"
#include "fileserver/server.hpp"

namespace {

using namespace farol;
using namespace farol::fileserver;
using transfer::TransferSocket;

constexpr Duration kResolverGrace = std::chrono::seconds(1);

struct StopOnExit {
  StopEvent& stop;
  ~StopOnExit() { stop.fire(); }
};

void log_start(const Logger& log, const Config& config, const TransferSocket& socket) {
  log.info("file server started", {{"name", config.name},
                                   {"gateway", fmt::format("{}:{}", config.gateway.host, config.gateway.port)},
                                   {"root", config.root},
                                   {"bind", socket.local_address().text()},
                                   {"version", kVersion}});
  if (socket.receive_buffer() < TransferSocket::kReceiveBuffer)
    log.warn("the kernel gives a small receive buffer (raise net.core.rmem_max)",
             {{"bytes", socket.receive_buffer()}, {"wanted", TransferSocket::kReceiveBuffer}});
}

int run(int argc, const char* const* argv) {
  const auto config = parse_config(argc, argv);
  if (!config) return EXIT_SUCCESS;
  const SignalWaiter signals{SIGTERM, SIGINT};
  const Logger log(STDERR_FILENO, config->common.log_level, config->common.log_format);
  raise_and_read_limits(::geteuid());
  ContentHashes hashes;
  FileStore files(config->root, hashes);
  if (config->common.check_config) {
    std::puts("configuration is valid");
    return EXIT_SUCCESS;
  }
  TransferSocket socket(Address::any(0));
  log_start(log, *config, socket);
  StopEvent stop;
  Server server(*config, socket, files, log);
  Thread hashing, serving;
  const StopOnExit stop_on_exit{stop};  // before the threads are joined, however this ends
  hashing = Thread("hash", [&] { hashes.run(stop); });
  serving = Thread("serve", [&] { server.run(stop); });

  signals.wait();
  stop.fire();
  // A question to a dead name server takes half a minute and cannot be taken back: leave without its thread then.
  const bool ended = server.finished().wait_until(Clock::now() + kResolverGrace);
  log.info("file server stopped");
  log.flush();
  if (!ended) std::_Exit(EXIT_SUCCESS);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  return farol::run_program("FastFileSrv", [&] { return run(argc, argv); });
}
