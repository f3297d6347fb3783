// monitorUDP: the agent of a back-end (report 001: MonitorUDP). Threads: main waits for signals; register, answer,
// count and resolver have one each.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "common/error.hpp"
#include "common/signals.hpp"
#include "common/thread.hpp"
#include "common/udp.hpp"
#include "monitor/agent.hpp"
#include "monitor/config.hpp"
#include "monitor/resolver.hpp"

namespace {

using namespace farol;
using namespace farol::monitor;
using monitoring::KeyRing;
using monitoring::MonitoringSocket;

constexpr Duration kResolverGrace = std::chrono::seconds(1);

MonitoringSocket open_socket(const KeyRing& keys, const Address& bind) {
  try {
    return MonitoringSocket(MonitoringSocket::End::agent, keys, bind);
  } catch (const std::system_error& error) {
    throw udp_start_error(bind, error, "a proxy on this host? use --bind :0", "--bind :0");
  }
}

void log_start(const Logger& log, const Config& config, const MonitoringSocket& socket, const KeyRing& keys,
               const std::string& limits) {
  std::string proxies;
  for (const HostPort& proxy : config.proxies)
    proxies += fmt::format("{}{}:{}", proxies.empty() ? "" : ",", proxy.host, proxy.port);
  log.info("agent started", {{"proxies", proxies},
                             {"interval_s", fmt::format("{}", to_seconds(config.interval))},
                             {"service_port", config.load.service_port},
                             {"pool", config.pool},
                             {"bind", socket.local_address().text()},
                             {"signed", keys.empty() ? "no" : "yes"},
                             {"version", kVersion}});
  if (config.load.fixed) log.warn("reporting fixed figures (--fixed-report), not this machine's load");
  if (!config.load.file.empty())
    log.warn("reporting a file's figures, not this machine's load", {{"file", config.load.file}});
  if (!limits.empty()) log.info("load is measured against this control group's limits", {{"limits", limits}});
}

/// Until TERM or INT. From then on a second signal ends the process at once, as if none were handled.
void wait_for_stop(const SignalWaiter& signals, Agent& agent, const Logger& log) {
  while (signals.wait() == SIGUSR1) {
    const bool draining = agent.toggle_draining();
    log.info(draining ? "draining: asking for no new connections" : "ready: taking new connections again");
  }
  sigset_t ending{};
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
}

struct StopOnExit {
  StopEvent& stop;
  ~StopOnExit() { stop.fire(); }
};

void serve(const Config& config, MonitoringSocket& socket, SocketWatch& sockets, LoadReporter& reporter,
           const SignalWaiter& signals, const Logger& log) {
  StopEvent stop;
  const monitoring::Service service{config.load.service_port, monitoring::pool_id(config.pool),
                                    monitoring::random_u64()};
  Agent agent(service, config.interval, socket, reporter, log);
  const auto publish = [&](const std::vector<Address>& proxies) { agent.set_proxies(proxies, Clock::now()); };
  Resolver resolver(config.proxies, publish, log);
  Thread resolver_thread, answer_thread, register_thread, count_thread;
  const StopOnExit stop_on_exit{stop};  // before the threads are joined, however this ends
  answer_thread = Thread("answer", [&] { agent.run_answer(stop); });
  count_thread = Thread("count", [&] { sockets.run(stop); });
  register_thread = Thread("register", [&] { agent.run_register(stop); });
  resolver_thread = Thread("resolver", [&] { resolver.run(stop); });

  wait_for_stop(signals, agent, log);
  stop.fire();
  answer_thread.join();
  register_thread.join();
  agent.deregister();
  log.info("agent stopped");
  log.flush();
  // A question to a dead name server takes half a minute and cannot be taken back: leave without its thread then.
  if (!resolver.finished().wait_until(Clock::now() + kResolverGrace)) std::_Exit(EXIT_SUCCESS);
}

int run(int argc, const char* const* argv) {
  const auto config = parse_config(argc, argv);
  if (!config) return EXIT_SUCCESS;
  const SignalWaiter signals{SIGTERM, SIGINT, SIGUSR1};
  const Logger log(STDERR_FILENO, config->common.log_level, config->common.log_format);
  const KeyRing keys = config->key_file.empty() ? KeyRing() : KeyRing::load(config->key_file);
  TcpCounter counter(config->load.service_port, log);
  SocketWatch sockets([&] { return config->load.dictated() ? counter.listening() : counter.count(); });
  LoadReporter reporter(config->load, sockets, Clock::now(), log);
  if (config->common.check_config) {
    std::puts("configuration is valid");
    return EXIT_SUCCESS;
  }
  MonitoringSocket socket = open_socket(keys, config->bind);
  log_start(log, *config, socket, keys, reporter.limits_text());
  serve(*config, socket, sockets, reporter, signals, log);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  return farol::run_program("monitorUDP", [&] { return run(argc, argv); });
}
