#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/error.hpp"
#include "common/options.hpp"
#include "monitoring/key_ring.hpp"
#include "proxyctl/admin_client.hpp"
#include "proxyctl/decision_table.hpp"
#include "proxyctl/status_table.hpp"

namespace {

using namespace farol;

struct Options {
  CommonOptions common;
  std::string admin = "http://127.0.0.1:8404";
  bool json = false;
  std::string backend;
  int key_id = 1;
  int decisions = 1;
};

int print_status(const Options& options) {
  const nlohmann::json status = proxyctl::AdminClient(options.admin).status();
  constexpr auto replace = nlohmann::json::error_handler_t::replace;
  std::cout << (options.json ? status.dump(2, ' ', false, replace) + "\n" : proxyctl::status_table(status));
  return 0;
}

int set_state(const Options& options, const std::string& state) {
  const nlohmann::json reply = proxyctl::AdminClient(options.admin).set_state(options.backend, state);
  std::cout << options.backend << ": " << proxyctl::printable(reply.value("state", state)) << "\n";
  return 0;
}

int explain(const Options& options) {
  const nlohmann::json answer = proxyctl::AdminClient(options.admin).decisions();
  constexpr auto replace = nlohmann::json::error_handler_t::replace;
  std::cout << (options.json ? answer.dump(2, ' ', false, replace) + "\n"
                             : proxyctl::decision_table(answer, options.decisions, options.backend));
  return 0;
}

int print_key(const Options& options) {
  std::cout << monitoring::KeyRing::generate_line(static_cast<std::uint8_t>(options.key_id)) << "\n";
  return 0;
}

/// Adds the commands; the one given on the command line ends up in `chosen`.
void add_commands(CLI::App& app, Options& options, std::function<int()>& chosen) {
  const auto command = [&](const std::string& name, const std::string& help, std::function<int()> run) {
    CLI::App* added = app.add_subcommand(name, help)->fallthrough();
    added->callback([&chosen, run = std::move(run)] { chosen = run; });
    return added;
  };
  command("status", "what the proxy and its back-ends are doing", [&options] {
    return print_status(options);
  })->add_flag("--json", options.json, "the API's own JSON");
  CLI::App* explaining = command("explain", "why the last choices fell as they did, with every part of each score",
                                 [&options] { return explain(options); });
  explaining->add_option("--last", options.decisions, "how many choices")->check(CLI::Range(1, 1000))
      ->capture_default_str();
  explaining->add_option("--backend", options.backend, "only those that chose this one, ADDRESS:PORT");
  explaining->add_flag("--json", options.json, "the API's own JSON");
  const std::pair<std::string, std::string> states[] = {
      {"drain", "no new connections for a back-end; those that live go on"},
      {"ready", "undoes drain and maint"},
      {"maint", "takes a back-end out of service"},
  };
  for (const auto& [name, help] : states)
    command(name, help, [&options, state = name] { return set_state(options, state); })
        ->add_option("backend", options.backend, "ADDRESS:PORT, with /POOL behind it where that is not unique")
        ->required();
  command("keygen", "prints a fresh line for a key file", [&options] { return print_key(options); })
      ->add_option("--id", options.key_id, "the key's number in the file, 0 to 255")
      ->check(CLI::Range(0, 255))
      ->capture_default_str();
}

int run(int argc, char** argv) {
  CLI::App app{"Looks at a running reverseProxy and steers it.", "proxyctl"};
  Options options;
  std::function<int()> chosen;
  add_config_options(app, options.common);
  app.add_option("--admin", options.admin, "the proxy's admin endpoint")->type_name("URL")->capture_default_str();
  app.require_subcommand(0, 1);
  add_commands(app, options, chosen);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (options.common.check_config) {
    const proxyctl::AdminClient checked(options.admin);
    std::cout << "configuration is valid\n";
    return 0;
  }
  if (!chosen) throw UsageError("no command (want status, explain, drain, ready, maint or keygen; see --help)");
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  return farol::run_program("proxyctl", [&] { return run(argc, argv); });
}
