#include "proxy/config.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <thread>

#include "common/error.hpp"
#include "common/options.hpp"

namespace farol::proxy {
namespace {

constexpr std::uint32_t kMostConnections = 10'000'000;  ///< that make sense as a limit
constexpr auto kLeastUserTimeout = std::chrono::seconds(2);

/// The flags as text, before they are understood.
struct Raw {
  std::vector<std::string> listen, backends, policies, allow;
  std::string monitor_listen = ":5555", admin = "127.0.0.1:8404";
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

/// Names are shown, logged and part of back-end paths: keep them plain.
std::string checked_pool(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!plain) throw UsageError("'" + name + "' is not a pool name (letters, digits, '-', '_', '.')");
  return name;
}

Config::Endpoint parse_listen(const std::string& text) {
  const auto equals = text.find('=');
  Config::Endpoint endpoint{parse_listen_address(text.substr(0, equals)), std::string(monitoring::kDefaultPool)};
  if (equals != std::string::npos) endpoint.pool = checked_pool(text.substr(equals + 1));
  return endpoint;
}

/// A whole number from `least` to `most`; `what` it is meant to be.
std::uint32_t parse_number(const std::string& text, const std::string& what, std::uint32_t least, std::uint32_t most) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw UsageError(fmt::format("'{}' is not {} (want {} to {})", text, what, least, most));
  return number;
}

void parse_backend_option(const std::string& option, Config::StaticBackend& backend) {
  if (option == "backup")
    backend.backup = true;
  else if (option.starts_with("weight="))
    backend.weight = parse_number(option.substr(7), "a weight", 1, 1000);
  else if (option.starts_with("pool="))
    backend.pool = checked_pool(option.substr(5));
  else if (option.starts_with("max-connections="))
    backend.max_connections = parse_number(option.substr(16), "a number of connections", 0, kMostConnections);
  else
    throw UsageError("'" + option +
                     "' is not an option of a back-end (want weight=N, backup, max-connections=N or pool=NAME)");
}

Config::StaticBackend parse_backend(const std::string& text) {
  std::istringstream parts(text);
  std::string part;
  std::getline(parts, part, ',');
  const auto address = Address::parse(part);
  if (!address || address->port() == 0 || address->is_wildcard())
    throw UsageError("'" + part + "' is not a back-end (want IP:PORT or [IPv6]:PORT)");
  Config::StaticBackend backend;
  backend.address = *address;
  while (std::getline(parts, part, ',')) parse_backend_option(part, backend);
  return backend;
}

std::string policy_names() {
  std::string names;
  for (const Policy policy : kPolicies) {
    if (!names.empty()) names += policy == std::end(kPolicies)[-1] ? " or " : ", ";
    names += to_string(policy);
  }
  return names;
}

Policy parse_policy(const std::string& name) {
  for (const Policy policy : kPolicies)
    if (name == to_string(policy)) return policy;
  throw UsageError("'" + name + "' is not a policy (want " + policy_names() + ")");
}

void add_limits(CLI::App& app, Config& config) {
  const auto add = [&app](const char* flag, auto& value, const char* what) {
    app.add_option(flag, value, what)->capture_default_str()->check(CLI::Range(0U, kMostConnections));
  };
  add("--max-connections", config.max_connections, "clients served at once; 0 = what the limits allow");
  add("--max-connections-per-backend", config.max_connections_per_backend,
      "of this proxy to each back-end; 0 = no limit");
  add("--max-connections-per-source", config.max_connections_per_source,
      "from one IPv4 address or IPv6 /64; 0 = no limit");
  add_duration(app, "--queue-timeout", config.queue_timeout, "that a client waits for a back-end; 0 = never");
  add("--max-queue", config.max_queue, "clients of a pool that wait at once");
}

void add_flags(CLI::App& app, Raw& raw, Config& config) {
  app.add_option("--listen", raw.listen, "client side, ADDR:PORT[=POOL], repeatable")->default_str(":80")
      ->take_all();
  app.add_option("--monitor-listen", raw.monitor_listen, "UDP ADDR:PORT where agents register")->capture_default_str();
  app.add_option("--backend", raw.backends,
                 "static back-end without an agent, "
                 "ADDR:PORT[,weight=N][,backup][,max-connections=N][,pool=NAME], repeatable")
      ->take_all();
  add_choice(app, "--engine", config.engine, {{"threads", EngineKind::threads}, {"events", EngineKind::events}, {"epoll", EngineKind::epoll}},
             "who runs the relays: a thread per connection, or a reactor per core (events: io_uring if permitted)");
  app.add_option("--workers", config.workers, "reactors of the events engine; 0 = one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 256));
  app.add_option("--policy", raw.policies, "who is chosen: " + policy_names() + "; one for all or POOL=POLICY, repeatable")
      ->default_str("weighted")
      ->take_all();
  add_duration(app, "--probe-interval", config.timers.probe_interval, "between two probes of a back-end");
  add_duration(app, "--probe-timeout", config.timers.probe_timeout, "after which a probe is lost");
  add_duration(app, "--alive-interval", config.timers.alive_interval, "between two checks that an agent is alive");
  app.add_flag("--require-agent", config.require_agent,
               "a back-end whose agent is silent is down; static ones have none");
  add_duration(app, "--connect-timeout", config.connect_timeout, "of one connection attempt to a back-end");
  add_duration(app, "--idle-timeout", config.idle_timeout, "without a byte in either direction; 0 = never");
  add_duration(app, "--fin-timeout", config.fin_timeout, "the same once one side has closed its half");
  add_duration(app, "--user-timeout", config.user_timeout, "for a peer to answer when it is asked; 0 = any");
  add_duration(app, "--max-lifetime", config.max_lifetime, "of a connection, whatever it does; 0 = any");
  add_duration(app, "--drain-timeout", config.drain_timeout, "for connections to end after TERM");
  add_duration(app, "--slow-start", config.weighted.slow_start, "until a back-end that joins or recovers has its full share");
  app.add_option("--retries", config.retries, "connection attempts on other back-ends")
      ->default_str(fmt::format("{}, and more within --connect-timeout", kRetries))
      ->check(CLI::Range(0, 100));
  add_limits(app, config);
  app.add_option("--key-file", config.key_file, "keys that agents must sign with");
  app.add_option("--state-file", config.state_file, "remembers there where its agents are, for the next start");
  app.add_option("--user", config.user, "whom to become when started as root, once the ports are bound")
      ->default_str("farol, or nobody");
  app.add_option("--allow", raw.allow, "address range that may register, CIDR, repeatable")->take_all();
  app.add_option("--admin", raw.admin, "admin API on ADDR:PORT, or 'off'")->capture_default_str();
  app.add_option("--admin-token-file", config.admin_token_file,
                 "a secret that changes through the admin API must show; without one they come from loopback only");
  app.add_option("--admin-name", config.admin_names,
                 "host name that the admin API may be called by, besides addresses and this machine's own; repeatable")
      ->take_all();
}

void understand(const Raw& raw, Config& config) {
  for (const std::string& text : raw.listen)
    config.listen.push_back(value_of("--listen", [&] { return parse_listen(text); }));
  if (raw.listen.empty()) config.listen.push_back({Address::any(80), std::string(monitoring::kDefaultPool)});
  for (const std::string& text : raw.backends)
    config.backends.push_back(value_of("--backend", [&] { return parse_backend(text); }));
  config.monitor_listen = value_of("--monitor-listen", [&] { return parse_listen_address(raw.monitor_listen); });
  for (const std::string& text : raw.allow)
    config.allow.push_back(value_of("--allow", [&] { return Cidr::parse(text); }));
  config.admin.reset();
  if (raw.admin != "off") config.admin = value_of("--admin", [&] { return parse_listen_address(raw.admin); });
  for (const std::string& text : raw.policies) {
    const auto equals = text.find('=');
    const Policy policy = value_of("--policy", [&] {
      return parse_policy(equals == std::string::npos ? text : text.substr(equals + 1));
    });
    if (equals == std::string::npos)
      config.policy = policy;
    else
      config.pool_policies[value_of("--policy", [&] { return checked_pool(text.substr(0, equals)); })] = policy;
  }
}

void check_given_once(const Config& config) {
  for (std::size_t i = 0; i < config.backends.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (config.backends[i].address == config.backends[j].address && config.backends[i].pool == config.backends[j].pool)
        throw UsageError("--backend: " + config.backends[i].address.text() + " is given twice");
  for (std::size_t i = 0; i < config.listen.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (config.listen[i].address == config.listen[j].address && config.listen[i].address.port() != 0)
        throw UsageError("--listen: " + config.listen[i].address.text() + " is given twice (want each address once)");
}

/// Two listeners cannot share a port where one stands for all addresses.
void check_apart(const Config& config) {
  const auto check_pair = [](const char* flag, const Address& one, const Address& other) {
    if (!overlap(one, other)) return;
    if (one == other) throw UsageError(fmt::format("{}: {} is --listen's already", flag, one.text()));
    throw UsageError(fmt::format("{}: {} overlaps with --listen {}, for {} stands for all addresses (want one of them)",
                                 flag, one.text(), other.text(), (one.is_wildcard() ? one : other).text()));
  };
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) check_pair("--listen", config.listen[i].address, config.listen[j].address);
    if (config.admin) check_pair("--admin", *config.admin, config.listen[i].address);
  }
}

/// A back-end that is this proxy itself: each check of it would be a client, for whom it connects to itself again.
void check_no_loop(const Config& config) {
  for (const Config::StaticBackend& backend : config.backends)
    for (const Config::Endpoint& endpoint : config.listen)
      if (reaches(backend.address, endpoint.address))
        throw UsageError(fmt::format("--backend: {} is this proxy's own --listen {} (want the service's own port)",
                                     backend.address.text(), endpoint.address.text()));
}

/// Values that are fine alone and wrong together.
void check_together(const Config& config) {
  const MonitoringConfig& timers = config.timers;
  if (timers.probe_interval <= Duration::zero()) throw UsageError("--probe-interval: must be more than 0");
  if (timers.probe_timeout <= Duration::zero()) throw UsageError("--probe-timeout: must be more than 0");
  if (config.connect_timeout <= Duration::zero()) throw UsageError("--connect-timeout: must be more than 0");
  if (config.user_timeout > Duration::zero() && config.user_timeout < kLeastUserTimeout)
    throw UsageError("--user-timeout: must be 0 or at least 2s (idle peers are asked once a second at the most)");
  if (timers.alive_interval < timers.probe_interval + timers.probe_timeout)
    throw UsageError(fmt::format(
        "--alive-interval: {} s is too short for a probe every {} s (want at least --probe-interval + --probe-timeout)",
        to_seconds(timers.alive_interval), to_seconds(timers.probe_interval)));
  check_given_once(config);
  check_apart(config);
  check_no_loop(config);
}

std::optional<int> parse_all(int argc, const char* const* argv, Config& config) {
  CLI::App app{"Farol: a reverse TCP proxy whose back-ends tell it how they are.", "reverseProxy"};
  Raw raw;
  add_common_options(app, config.common);
  add_flags(app, raw, config);
  if (const auto done = parse_command_line(app, argc, argv)) return done;
  understand(raw, config);
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  check_together(config);
  const Duration slow_start = config.weighted.slow_start;
  config.weighted = WeightedConfig::for_interval(config.timers.probe_interval);
  config.weighted.slow_start = slow_start;
  return std::nullopt;
}

}  // namespace

std::optional<int> parse_config(int argc, const char* const* argv, Config& config) {
  return parse_naming_file(config, [&](Config& into) { return parse_all(argc, argv, into); });
}

}  // namespace farol::proxy
