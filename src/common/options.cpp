#include "common/options.hpp"

#include <map>

#include "common/error.hpp"

namespace farol {
namespace {

CLI::AsNumberWithUnit seconds_with_unit() {
  const std::map<std::string, double> units = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0},
                                               {"m", 60.0},  {"h", 3600.0}, {"d", 86400.0}};
  return CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE, "DURATION");
}

std::string in_unit(Duration value) {
  const bool small = value < std::chrono::seconds(1);
  return fmt::format("{}{}", small ? to_ms(value) : to_seconds(value), small ? "ms" : "s");
}

/// CLI11's words, made to name the file when it was the file, and to end in the way out.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (c == '\n') c = ' ';
  const CLI::Option* config = app.get_config_ptr();
  const bool from_file = dynamic_cast<const CLI::ConfigError*>(&error) != nullptr ||
                         dynamic_cast<const CLI::FileError*>(&error) != nullptr;
  if (from_file && config != nullptr && config->count() > 0) {
    constexpr std::string_view prefix = "INI was not able to parse ";
    if (text.rfind(prefix, 0) == 0) text = "unknown key '" + text.substr(prefix.size()) + "'";
    text = in_file(config->as<std::string>(), text);
  }
  return text + " (see --help)";
}

}  // namespace

std::string in_file(const std::string& file, const std::string& what) {
  const std::string prefix = "configuration file " + file + ": ";
  return file.empty() || what.starts_with(prefix) ? what : prefix + what;
}

void add_config_options(CLI::App& app, CommonOptions& options) {
  app.set_version_flag("--version", app.get_name() + " " + kVersion);
  CLI::Option* file = options.ignore_config_file ? app.add_option("--config", options.config_file)
                                                 : app.set_config("--config");
  file->description("read flags from this TOML/INI file; the command line wins")->check(CLI::ExistingFile);
  if (!options.ignore_config_file) file->each([&options](const std::string& name) { options.config_file = name; });
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_flag("--check-config", options.check_config, "validate the configuration, then exit")->configurable(false);
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  add_config_options(app, options);
  add_choice(app, "--log-level", options.log_level,
             {{"error", LogLevel::error}, {"warn", LogLevel::warn}, {"info", LogLevel::info}, {"debug", LogLevel::debug}},
             "what is logged");
  add_choice(app, "--log-format", options.log_format, {{"text", LogFormat::text}, {"json", LogFormat::json}},
             "how it is written");
}

CLI::Option* add_duration(CLI::App& app, const std::string& flag, Duration& value, const std::string& help) {
  const std::function<void(const std::string&)> store = [&value, flag](const std::string& text) {
    try {
      value = parse_duration(text);
    } catch (const UsageError& error) {
      throw CLI::ValidationError(flag, error.what());
    }
  };
  return app.add_option_function<std::string>(flag, store, help)
      ->type_name("DURATION")
      ->default_str(value == Duration::zero() ? "0" : in_unit(value));
}

Duration parse_duration(const std::string& text) {
  double seconds = -1;
  try {
    std::string number = text;
    if (seconds_with_unit()(number).empty()) seconds = std::stod(number);
  } catch (const std::exception&) {  // CLI11 throws for an unknown unit
    throw UsageError("'" + text + "' is not a duration (want 20, 0.5, 500ms, 20s or 1h)");
  }
  if (!(seconds >= 0 && seconds <= 1e8)) throw UsageError("'" + text + "' is out of range (0 to 1e8 seconds)");
  return from_seconds(seconds);
}

std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& request) {
    return app.exit(request);  // --help, --version: printed by CLI11
  } catch (const CLI::ParseError& error) {
    throw UsageError(explain(app, error));
  }
}

}  // namespace farol
