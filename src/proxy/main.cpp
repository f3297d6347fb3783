#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "common/drain.hpp"
#include "common/handover.hpp"
#include "common/privileges.hpp"
#include "common/signals.hpp"
#include "proxy/config.hpp"
#include "proxy/config_changes.hpp"
#include "proxy/server.hpp"

namespace farol::proxy {
namespace {

constexpr auto kSuccessorPatience = std::chrono::seconds(10);
constexpr auto kFindAgents = std::chrono::seconds(1);

bool reads_files(const Config& config) {
  return !config.key_file.empty() || !config.admin_token_file.empty() || !config.common.config_file.empty();
}

int check_config(const Config& config) {
  if (!config.key_file.empty()) monitoring::KeyRing::load(config.key_file);
  if (!config.admin_token_file.empty()) Token::load(config.admin_token_file);
  const auto account = account_to_become(config.user);
  if (account && reads_files(config)) become(*account);  // only that user can tell what it may read
  check_files_readable(config);
  fmt::print("configuration is valid\n");
  return 0;
}

/// HUP: the same command line, with what its file and the key file say now.
void reload(Server& server, int argc, const char* const* argv, Logger& log) {
  notify_reloading();
  try {
    Config next;
    parse_config(argc, argv, next);
    const LogLevel level = next.common.log_level;
    server.reload(std::move(next));
    log.set_level(level);
  } catch (const std::exception& error) {
    log.error("reload failed: the configuration stays as it was", {{"reason", error.what()}});
    server.reload_failed();
  }
  notify_ready();
}

/// USR2: another process of the same program, which may be a newer one, follows this one. False when it does.
bool stays(Server& server, const std::string& program, const std::vector<std::string>& arguments,
           const SignalWaiter& signals, const Logger& log) {
  try {
    const pid_t successor = start_successor(program, arguments, server.legacy(), Clock::now() + kSuccessorPatience,
                                            [&] { server.hold_back(true); });
    notify_successor(successor);
    server.handed_over();
    log.info("handed over", {{"to", successor}});
    while (const int meant_for_it = signals.wait(Clock::now())) ::kill(successor, meant_for_it);
    server.upgrade_ended({successor, {}});
    return false;
  } catch (const std::exception& error) {
    server.hold_back(false);
    log.error("upgrade failed: this process goes on", {{"reason", error.what()}});
    server.upgrade_ended({0, error.what()});
    return true;
  }
}

int run(int argc, const char* const* argv) {
  Config config;
  if (const auto done = parse_config(argc, argv, config)) return *done;
  if (config.common.check_config) return check_config(config);
  const std::string program = own_program(argv[0]);
  auto predecessor = Predecessor::find();
  Server::Inheritance inheritance;
  if (predecessor) inheritance.notes = parse_notes(predecessor->notes);
  if (inheritance.notes.memory_is_private) make_memory_private();  // before there is a key in it
  inheritance.sockets = predecessor
                            ? InheritedSockets(std::move(predecessor->sockets), InheritedSockets::Giver::predecessor)
                            : InheritedSockets(sockets_of_service_manager());

  ::mallopt(M_ARENA_MAX, 2);  // thousands of threads, few of which allocate at once
  Logger log(STDERR_FILENO, config.common.log_level, config.common.log_format);
  const SignalWaiter signals{SIGTERM, SIGINT, SIGHUP, SIGUSR2};
  if (predecessor) predecessor->begin();
  Server server(std::move(config), std::move(inheritance), log);
  if (predecessor) server.find_agents(Clock::now() + kFindAgents);
  server.start();
  if (predecessor) {
    predecessor->take_over();
    server.took_over();
  }
  serve_until_signalled(server, signals, log, [&](int signal) {
    if (server.is_draining()) return signal == SIGHUP || signal == SIGUSR2;  // too late, or for the successor
    if (signal == SIGHUP) reload(server, argc, argv, log);
    return signal == SIGHUP || (signal == SIGUSR2 && stays(server, program, {argv, argv + argc}, signals, log));
  });
  return 0;
}

}  // namespace
}  // namespace farol::proxy

int main(int argc, char** argv) {
  return farol::run_program("reverseProxy", [&] { return farol::proxy::run(argc, argv); });
}
