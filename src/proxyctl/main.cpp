#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>
#include <utility>

#include "common/error.hpp"
#include "common/options.hpp"
#include "proxyctl/admin_client.hpp"
#include "proxyctl/commands.hpp"
#include "proxyctl/options.hpp"
#include "proxyctl/top.hpp"

namespace {

using namespace farol;
using proxyctl::Options;
using Command = std::function<int(const Options&)>;

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0   done; check: nothing is wrong, or nothing but warnings\n"
    "  1   the proxy cannot be asked, or refuses; or the output cannot be written\n"
    "  2   check: something is wrong, with --strict also a warning\n"
    "  64  the command line is wrong\n"
    "Every command takes --json. An error is one line on stderr.";

/// The flags of the commands; the command that is given ends up in `chosen`.
class Commands {
 public:
  Commands(CLI::App& app, Options& options, Command& chosen) : app_(app), options_(options), chosen_(chosen) {}

  void add_all() {
    add("status", "what the proxy and its back-ends are doing", proxyctl::print_status);
    add_explain();
    add_top();
    add("check", "finds what is wrong with a set-up, worst first, and says what to do", proxyctl::check)
        .add_flag("--strict", options_.strict, "warnings too are wrong");
    add_state("drain", "no new connections for a back-end; those that live go on");
    add_state("ready", "undoes drain and maint");
    add_state("maint", "takes a back-end out of service");
    add("upgrade", "lets a new process of the program, with its configuration as it is now, take over all sockets",
        proxyctl::upgrade);
    add("keygen", "prints a fresh line for a key file", proxyctl::print_key)
        .add_option("--id", options_.key_id, "the key's number in the file, 0 to 255")
        ->check(CLI::Range(0, 255))
        ->capture_default_str();
  }

 private:
  /// Its output is complete, or the command has failed: a key file on a full disk would be empty.
  CLI::App& add(const std::string& name, const std::string& help, const Command& run) {
    return add_live(name, help, [run](const Options& options) {
      const int code = run(options);
      if (!std::cout.flush()) throw StartError("cannot write to stdout");
      return code;
    });
  }

  /// Who reads it may leave.
  CLI::App& add_live(const std::string& name, const std::string& help, Command run) {
    CLI::App* added = app_.add_subcommand(name, help)->fallthrough();
    added->callback([&chosen = chosen_, run = std::move(run)] { chosen = run; });
    added->add_flag("--json", options_.json, "for programs: the API's own JSON where it has some");
    return *added;
  }

  void add_top() {
    CLI::App& command = add_live("top", "the pool as a live table with keys to steer it (? lists them)", proxyctl::top);
    add_duration(command, "--interval", options_.interval, "how often the proxy is asked, 100ms to 60s");
  }

  void add_explain() {
    CLI::App& command = add("explain", "why the last choices fell as they did, with every part of each score",
                            proxyctl::explain);
    command.add_option("--last", options_.decisions,
                       "how many, of those that are kept: the last 64 of a pool, 16 of each rarer reason")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command.add_option("--backend", options_.backend,
                       "only those that chose, passed over or left out this one, ADDRESS:PORT[/POOL]");
  }

  void add_state(const std::string& name, const std::string& help) {
    CLI::App& command = add(name, help, [&options = options_, name](const Options&) {
      options.state = name;
      return proxyctl::set_state(options);
    });
    command.add_option("backend", options_.backend, "ADDRESS:PORT, with /POOL behind it where that is not unique")
        ->required();
    if (name == "ready") return;
    add_duration(command, "--close-over", options_.close_over, "closes its connections too, spread over so long")
        ->default_str("they stay")
        ->each([&options = options_](const std::string&) { options.closes = true; });
  }

  CLI::App& app_;
  Options& options_;
  Command& chosen_;
};

int run(int argc, char** argv) {
  CLI::App app{"Looks at a running reverseProxy and steers it.", "proxyctl"};
  app.footer(kExitCodes);
  Options options;
  Command chosen;
  add_config_options(app, options.common);
  app.add_option("--admin", options.admin, "the proxy's admin endpoint")->type_name("URL")->capture_default_str();
  app.add_option("--token-file", options.token_file, "the secret that the proxy's --admin-token-file wants for changes");
  app.require_subcommand(0, 1);
  Commands(app, options, chosen).add_all();
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (options.common.check_config) {
    const proxyctl::AdminClient checked(options.admin);
    std::cout << "configuration is valid\n";
    return 0;
  }
  if (!chosen)
    throw UsageError("no command (want status, top, check, explain, drain, ready, maint, upgrade or keygen; see --help)");
  return chosen(options);
}

}  // namespace

int main(int argc, char** argv) {
  return farol::run_program("proxyctl", [&] { return run(argc, argv); });
}
