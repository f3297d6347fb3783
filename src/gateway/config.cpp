#include "gateway/config.hpp"

#include <algorithm>
#include <thread>

#include "common/error.hpp"
#include "common/options.hpp"

namespace farol::gateway {
namespace {

/// What is not understood yet.
struct Raw {
  std::string address, admin = "off";
  std::uint16_t port = 80;
  std::vector<std::string> allow;
};

/// Runs `parse` and puts the flag's name before what is wrong with its value.
template <typename Parse>
auto value_of(const std::string& flag, Parse parse) {
  try {
    return parse();
  } catch (const UsageError& error) {
    throw UsageError(flag + ": " + error.what());
  }
}

void add_flags(CLI::App& app, Raw& raw, Config& config) {
  app.add_option("address", raw.address, "IP address for HTTP (TCP) and file servers (UDP)")->default_str("all");
  app.add_option("port", raw.port, "of both")->capture_default_str()->check(CLI::Range(0, 65535));
  app.add_option("--allow", raw.allow, "address range whose file servers may register, CIDR, repeatable")->take_all();
  app.add_option("--admin", raw.admin, "dashboard, health, status and metrics on ADDR:PORT, or 'off'")
      ->capture_default_str();
  app.add_option("--admin-name", config.admin_names,
                 "host name that the admin endpoint may be called by, besides addresses and this machine's own; repeatable")
      ->take_all();
  add_choice(app, "--engine", config.engine, {{"threads", EngineKind::threads}, {"events", EngineKind::events}},
             "who serves the clients, a thread per connection or a reactor per core");
  app.add_option("--workers", config.workers, "reactors of the events engine; 0 = one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 256));
  add_duration(app, "--drain-timeout", config.drain_timeout, "for responses to end after TERM");
}

Address parse_address(const Raw& raw) {
  if (raw.address.empty()) return Address::any(raw.port);
  const auto address = Address::parse_ip(raw.address, raw.port);
  if (!address)
    throw UsageError("address: '" + raw.address + "' is not an IP address (want HttpGw 0.0.0.0 8080, or :: for all)");
  return *address;
}

}  // namespace

std::optional<int> parse_config(int argc, const char* const* argv, Config& config) {
  CLI::App app{"Farol's HTTP gateway: serves files that FastFileSrv servers send it over UDP.", "HttpGw"};
  Raw raw;
  add_common_options(app, config.common);
  add_flags(app, raw, config);
  if (const auto done = parse_command_line(app, argc, argv)) return done;
  config.listen = parse_address(raw);
  for (const std::string& text : raw.allow)
    config.allow.push_back(value_of("--allow", [&] { return Cidr::parse(text); }));
  if (raw.admin != "off") config.admin = value_of("--admin", [&] { return parse_listen_address(raw.admin); });
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  return std::nullopt;
}

}  // namespace farol::gateway
