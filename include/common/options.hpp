#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/program.hpp"

/// Command lines by CLI11. Only what reads a command line includes this: CLI11 is slow to compile.
namespace farol {

/// Adds --version, --config and --check-config. `options` must outlive the parse.
void add_config_options(CLI::App& app, CommonOptions& options);
/// The same, and --log-level and --log-format.
void add_common_options(CLI::App& app, CommonOptions& options);

/// Adds a flag that takes one of a few names; the value it has is the default.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& flag, Value& value,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  std::string names, present;
  for (const auto& [name, meaning] : choices) {
    names += (names.empty() ? "" : ", ") + name;
    if (meaning == value) present = name;
  }
  const std::function<void(const std::string&)> store = [&value, choices, names, flag](const std::string& text) {
    for (const auto& [name, meaning] : choices)
      if (name == text) {
        value = meaning;
        return;
      }
    throw CLI::ValidationError(flag, "'" + text + "' is none of " + names);
  };
  return app.add_option_function<std::string>(flag, store, help + ": " + names)->default_str(present);
}

/// Adds a flag that takes a duration with a unit ("500ms", "5s", "1h"; bare numbers are seconds).
CLI::Option* add_duration(CLI::App& app, const std::string& flag, Duration& value, const std::string& help);

/// Turns "500ms", "20" or "1h" into a Duration. Throws UsageError. For the positional interval of monitorUDP.
Duration parse_duration(const std::string& text);

/// Parses. --help and --version print and come back as 0; a wrong command line or configuration file throws UsageError
/// naming what, where and what would be right. Empty: go on and run.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

}  // namespace farol
