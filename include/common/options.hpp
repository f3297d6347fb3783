#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/error.hpp"
#include "common/program.hpp"

/// Command lines by CLI11. Only what reads a command line includes this: CLI11 is slow to compile.
namespace farol {

/// Adds --version, --config (which `ignore_config_file` makes a flag like any other) and --check-config. `options` must
/// outlive the parse.
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

/// What is wrong, with the file in which it is wrong, unless it says that already. Without a file just what is wrong.
std::string in_file(const std::string& file, const std::string& what);

/// Parses by `parse(config)`, which takes the command line and its configuration file into a Config with a member `common`.
/// When that throws UsageError, and would not without the file, the error names the file.
template <typename Config, typename Parse>
std::optional<int> parse_naming_file(Config& config, const Parse& parse) {
  try {
    return parse(config);
  } catch (const UsageError& error) {
    Config without_file;
    without_file.common.ignore_config_file = true;
    try {
      parse(without_file);
    } catch (const UsageError&) {
      throw error;  // the command line's own
    }
    throw UsageError(in_file(without_file.common.config_file, error.what()));
  }
}

/// Turns "500ms", "20" or "1h" into a Duration. Throws UsageError. For the positional interval of monitorUDP.
Duration parse_duration(const std::string& text);

/// Parses. --help and --version print and come back as 0; a wrong command line or configuration file throws UsageError
/// naming what, where and what would be right. Empty: go on and run.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

}  // namespace farol
