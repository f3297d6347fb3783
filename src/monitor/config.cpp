#include "monitor/config.hpp"

#include "common/error.hpp"
#include "common/options.hpp"

namespace farol::monitor {
namespace {

constexpr Duration kShortestInterval = std::chrono::milliseconds(100);
constexpr Duration kLongestInterval = std::chrono::hours(24);

/// What is text until all of the command line is known.
struct RawConfig {
  std::string interval;
  std::vector<std::string> proxies;
  std::string bind = ":5555";
  std::string fixed_report;
};

void add_options(CLI::App& app, Config& config, RawConfig& raw) {
  app.add_option("interval-seconds", raw.interval, "time between Registers: 20, 0.5 or 20s")->required();
  app.add_option("proxy", raw.proxies, "proxies to register with: host[:port], port 5555 unless given")->required();
  app.add_option("--bind", raw.bind, "ADDR[:PORT] to answer from")->capture_default_str();
  app.add_option("--service-port", config.load.service_port, "TCP port of the service on this host")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--pool", config.pool, "pool that the service belongs to")->capture_default_str();
  app.add_option("--key-file", config.key_file, "sign and verify packets with these keys (proxyctl keygen)");
  auto* fixed = app.add_option("--fixed-report", raw.fixed_report, "report this, always: cpu=100,mem=100,tcp=100");
  app.add_option("--report-from", config.load.file, "report what this file says at each probe")->excludes(fixed);
  add_common_options(app, config.common);
}

/// Runs `parse` and puts what it was about before its complaint.
template <typename Parse>
auto about(const std::string& what, Parse parse) {
  try {
    return parse();
  } catch (const std::runtime_error& error) {
    throw UsageError(what + ": " + error.what());
  }
}

Duration parse_interval(const std::string& text) {
  const Duration interval = about("interval '" + text + "'", [&] { return parse_duration(text); });
  if (interval < kShortestInterval || interval > kLongestInterval)
    throw UsageError("interval '" + text + "': out of range (want 0.1 s to 24 h)");
  return interval;
}

HostPort parse_proxy(const std::string& text) {
  HostPort proxy = about("proxy", [&] { return parse_host_port(text, monitoring::kDefaultPort); });
  if (proxy.host.empty() || proxy.port == 0)
    throw UsageError("proxy '" + text + "': want HOST[:PORT], a host and a port from 1 to 65535");
  return proxy;
}

}  // namespace

std::optional<Config> parse_config(int argc, const char* const* argv) {
  CLI::App app("Tells reverse proxies how this machine is: registers with them and answers their probes.",
               "monitorUDP");
  Config config;
  RawConfig raw;
  add_options(app, config, raw);
  if (parse_command_line(app, argc, argv)) return std::nullopt;
  config.interval = parse_interval(raw.interval);
  for (const std::string& text : raw.proxies) config.proxies.push_back(parse_proxy(text));
  config.bind = about("--bind", [&] { return parse_listen_address(raw.bind, monitoring::kDefaultPort); });
  if (config.pool.empty()) throw UsageError("--pool: want a name");
  if (!raw.fixed_report.empty())
    config.load.fixed = about("--fixed-report", [&] { return parse_report(raw.fixed_report); });
  return config;
}

}  // namespace farol::monitor
