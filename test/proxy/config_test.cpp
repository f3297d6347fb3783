#include "proxy/config.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/temporary_directory.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

Config parsed(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "reverseProxy");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  Config config;
  if (parse_config(static_cast<int>(argv.size()), argv.data(), config)) throw std::logic_error("nothing to run");
  return config;
}

/// A configuration file for one test.
class ConfigFile : public farol::test::TemporaryDirectory {
 public:
  explicit ConfigFile(const std::string& text) { write("farol.toml", text); }
  [[nodiscard]] std::string name() const { return at("farol.toml"); }
};

}  // namespace

TEST_CASE("reverseProxy: with no flag it does what the report's does", "[config]") {
  const Config config = parsed({});
  REQUIRE(config.listen.size() == 1);
  CHECK(config.listen[0].address == Address::any(80));
  CHECK(config.listen[0].pool == "default");
  CHECK(config.monitor_listen == Address::any(5555));
  CHECK(config.engine == EngineKind::threads);
  CHECK(config.policy == Policy::weighted);
  CHECK(config.timers.probe_interval == 5s);
  CHECK(config.timers.probe_timeout == 500ms);
  CHECK(config.timers.alive_interval == 10s);
  CHECK(config.weighted.slow_start == 10s);
  CHECK(config.connect_timeout == 5s);
  CHECK(config.idle_timeout == 1h);
  CHECK(config.fin_timeout == 30s);
  CHECK(config.user_timeout == 30s);
  CHECK_FALSE(config.require_agent);
  CHECK(config.max_lifetime == 0s);
  CHECK(config.drain_timeout == 30s);
  CHECK_FALSE(config.retries);
  CHECK(config.max_connections == 0);
  CHECK(config.max_connections_per_backend == 0);
  CHECK(config.max_connections_per_source == 0);
  CHECK(config.queue_timeout == 900ms);
  CHECK(config.max_queue == 1024);
  CHECK(config.key_file.empty());
  CHECK(config.state_file.empty());
  CHECK(config.backends.empty());
  CHECK(config.admin == *Address::parse("127.0.0.1:8404"));
  CHECK(config.common.log_level == LogLevel::info);
  CHECK(config.common.log_format == LogFormat::text);
}

TEST_CASE("reverseProxy: every flag arrives", "[config]") {
  const Config config = parsed({"--listen", "127.0.0.1:8080=web", "--listen", ":9090",
                                "--monitor-listen", "127.0.0.1:6666", "--backend", "10.1.1.1:80",
                                "--backend", "[::1]:81,pool=web,weight=3,backup,max-connections=9",
                                "--engine", "events", "--workers", "3", "--policy", "report",
                                "--policy", "web=round-robin",
                                "--probe-interval", "100ms", "--probe-timeout", "50ms", "--alive-interval", "1",
                                "--connect-timeout", "2s", "--idle-timeout", "0", "--fin-timeout", "0.5",
                                "--require-agent", "--user-timeout", "3s", "--max-lifetime", "8h",
                                "--drain-timeout", "1m", "--slow-start", "20s", "--retries", "0", "--max-connections", "7",
                                "--max-connections-per-backend", "5", "--max-connections-per-source", "6",
                                "--queue-timeout", "250ms", "--max-queue", "8",
                                "--key-file", "keys", "--state-file", "state", "--allow", "10.0.0.0/8", "--allow", "::1",
                                "--admin", "off", "--admin-token-file", "token", "--admin-name", "farol.example",
                                "--log-level", "debug", "--log-format", "json"});
  REQUIRE(config.listen.size() == 2);
  CHECK(config.listen[0].pool == "web");
  CHECK(config.listen[1].address == Address::any(9090));
  CHECK(config.monitor_listen == *Address::parse("127.0.0.1:6666"));
  REQUIRE(config.backends.size() == 2);
  CHECK(config.backends[1].address == *Address::parse("[::1]:81"));
  CHECK(config.backends[0].weight == 1);
  CHECK_FALSE(config.backends[0].backup);
  CHECK(config.backends[1].pool == "web");
  CHECK(config.backends[1].weight == 3);
  CHECK(config.backends[1].backup);
  CHECK_FALSE(config.backends[0].max_connections);
  CHECK(config.backends[1].max_connections == 9U);
  CHECK(config.engine == EngineKind::events);
  CHECK(config.workers == 3);
  CHECK(config.policy == Policy::report);
  CHECK(config.pool_policies.at("web") == Policy::round_robin);
  CHECK(config.timers.probe_interval == 100ms);
  CHECK(config.timers.alive_interval == 1s);
  CHECK(config.connect_timeout == 2s);
  CHECK(config.idle_timeout == 0s);
  CHECK(config.fin_timeout == 500ms);
  CHECK(config.user_timeout == 3s);
  CHECK(config.require_agent);
  CHECK(config.max_lifetime == 8h);
  CHECK(config.drain_timeout == 1min);
  CHECK(config.weighted.slow_start == 20s);
  CHECK(config.retries == 0);
  CHECK(config.max_connections == 7);
  CHECK(config.max_connections_per_backend == 5);
  CHECK(config.max_connections_per_source == 6);
  CHECK(config.queue_timeout == 250ms);
  CHECK(config.max_queue == 8);
  CHECK(config.key_file == "keys");
  CHECK(config.state_file == "state");
  CHECK(config.allow.size() == 2);
  CHECK_FALSE(config.admin);
  CHECK(config.admin_token_file == "token");
  CHECK(config.admin_names == std::vector<std::string>{"farol.example"});
  CHECK(config.common.log_level == LogLevel::debug);
  CHECK(config.common.log_format == LogFormat::json);
}

TEST_CASE("reverseProxy: every policy has its name, for all pools or for one", "[config]") {
  for (const Policy policy : kPolicies) {
    const std::string name(to_string(policy));
    CHECK(parsed({"--policy", name}).policy == policy);
    const Config one = parsed({"--policy", "web=" + name});
    CHECK(one.policy == Policy::weighted);
    CHECK(one.pool_policies.at("web") == policy);
  }
}

TEST_CASE("reverseProxy: smoothing follows the probe interval", "[config]") {
  CHECK(parsed({}).weighted.cpu_tau == 40s);
  CHECK(parsed({"--probe-interval", "1s"}).weighted.cpu_tau == 10s);
}

TEST_CASE("reverseProxy: a wrong flag is named, with what would be right", "[config]") {
  using Row = std::tuple<std::vector<std::string>, std::string, std::string>;
  const auto [arguments, flag, words] = GENERATE(values<Row>({
      {{"--listen", "80"}, "--listen", "ADDR:PORT"},
      {{"--listen", "localhost:80"}, "--listen", "is not an IP address"},
      {{"--listen", ":80=a b"}, "--listen", "is not a pool name"},
      {{"--listen", ":99999"}, "--listen", "is not a port (0 to 65535)"},
      {{"--monitor-listen", "x"}, "--monitor-listen", "ADDR:PORT"},
      {{"--backend", "10.1.1.1"}, "--backend", "want IP:PORT"},
      {{"--backend", "10.1.1.1:0"}, "--backend", "want IP:PORT"},
      {{"--backend", "0.0.0.0:80"}, "--backend", "want IP:PORT"},
      {{"--backend", "10.1.1.1:80,wait=3"}, "--backend", "want weight=N, backup, max-connections=N or pool=NAME"},
      {{"--backend", "10.1.1.1:80,weight=0"}, "--backend", "is not a weight (want 1 to 1000)"},
      {{"--backend", "10.1.1.1:80,weight=1001"}, "--backend", "is not a weight (want 1 to 1000)"},
      {{"--backend", "10.1.1.1:80,weight=1.5"}, "--backend", "is not a weight (want 1 to 1000)"},
      {{"--backend", "10.1.1.1:80,max-connections=-1"}, "--backend", "a number of connections (want 0 to 10000000)"},
      {{"--backend", "10.1.1.1:80,max-connections="}, "--backend", "is not a number of connections"},
      {{"--backend", "10.1.1.1:80", "--backend", "10.1.1.1:80"}, "--backend", "is given twice"},
      {{"--engine", "steam"}, "--engine", "threads"},
      {{"--policy", "fair"}, "--policy", "want weighted, report, least-connections, round-robin or source-hash"},
      {{"--policy", "a b=report"}, "--policy", "is not a pool name"},
      {{"--probe-interval", "0"}, "--probe-interval", "more than 0"},
      {{"--probe-interval", "5 parsecs"}, "--probe-interval", "parsecs"},
      {{"--probe-timeout", "0"}, "--probe-timeout", "more than 0"},
      {{"--alive-interval", "2"}, "--alive-interval", "at least --probe-interval + --probe-timeout"},
      {{"--connect-timeout", "0"}, "--connect-timeout", "more than 0"},
      {{"--connect-timeout", "-1"}, "--connect-timeout", ""},
      {{"--idle-timeout", "soon"}, "--idle-timeout", ""},
      {{"--user-timeout", "1.9s"}, "--user-timeout", "0 or at least 2s"},
      {{"--user-timeout", "-3"}, "--user-timeout", "out of range"},
      {{"--max-lifetime", "forever"}, "--max-lifetime", "is not a duration"},
      {{"--retries", "-1"}, "--retries", "100"},
      {{"--retries", "many"}, "--retries", ""},
      {{"--max-connections", "many"}, "--max-connections", ""},
      {{"--max-connections", "10000001"}, "--max-connections", "10000000"},
      {{"--max-connections-per-backend", "-1"}, "--max-connections-per-backend", "10000000"},
      {{"--max-connections-per-source", "few"}, "--max-connections-per-source", ""},
      {{"--max-connections-per-source", "4294967296"}, "--max-connections-per-source", "10000000"},
      {{"--max-queue", "-1"}, "--max-queue", "10000000"},
      {{"--queue-timeout", "-1s"}, "--queue-timeout", ""},
      {{"--queue-timeout", "soon"}, "--queue-timeout", ""},
      {{"--allow", "10.0.0.0/99"}, "--allow", "want 10.0.0.0/8"},
      {{"--admin", "nowhere"}, "--admin", "ADDR:PORT"},
      {{"--log-level", "loud"}, "--log-level", "debug"},
      {{"--log-format", "xml"}, "--log-format", "json"},
      {{"--no-such-flag"}, "--no-such-flag", "--help"},
  }));
  CAPTURE(flag);
  CHECK_THROWS_AS(parsed(arguments), UsageError);
  CHECK_THROWS_WITH(parsed(arguments), Contains(flag) && Contains(words));
  CHECK_THROWS_WITH(parsed(arguments), !Contains("\n"));
}

TEST_CASE("reverseProxy: a configuration file has the flags' names, and the command line wins", "[config]") {
  const ConfigFile file("listen=[\"127.0.0.1:8080\", \"127.0.0.1:8081=web\"]\nretries=1\nidle-timeout=\"5m\"\n");
  const Config config = parsed({"--config", file.name(), "--retries", "2"});
  CHECK(config.listen.size() == 2);
  CHECK(config.retries == 2);
  CHECK(config.idle_timeout == 5min);
  CHECK(config.common.config_file == file.name());
  CHECK(parsed({}).common.config_file.empty());
}

TEST_CASE("reverseProxy: what is wrong in a configuration file is named with the file", "[config]") {
  const ConfigFile unknown("retires=1\n");
  CHECK_THROWS_WITH(parsed({"--config", unknown.name()}), Contains(unknown.name()) && Contains("retires"));
  CHECK_THROWS_AS(parsed({"--config", unknown.name()}), UsageError);
  CHECK_THROWS_WITH(parsed({"--config", "/no/such/file"}), Contains("/no/such/file"));
  const ConfigFile wrong("retries=many\n");
  CHECK_THROWS_WITH(parsed({"--config", wrong.name()}), Contains("retries"));
}

TEST_CASE("reverseProxy: a value that is wrong is blamed on the file only when it comes from there", "[config]") {
  const auto said_of = [](const std::string& file) { return "configuration file " + file + ": "; };
  for (const char* text : {"retries=many\n", "connect-timeout=\"5 parsecs\"\n", "listen=\"localhost:80\"\n",
                           "probe-interval=\"20s\"\nalive-interval=\"10s\"\n"}) {
    const ConfigFile wrong(text);
    CAPTURE(text);
    CHECK_THROWS_WITH(parsed({"--config", wrong.name()}), Catch::StartsWith(said_of(wrong.name())));
    CHECK_THROWS_AS(parsed({"--config", wrong.name()}), UsageError);
    CHECK_THROWS_WITH(parsed({"--config", wrong.name()}), !Contains("file " + wrong.name() + ": configuration"));
  }
  const ConfigFile fine("retries=1\n");
  CHECK_THROWS_WITH(parsed({"--config", fine.name(), "--listen", "localhost:80"}), !Contains(fine.name()));
  const ConfigFile together("alive-interval=\"10s\"\n");
  CHECK_THROWS_WITH(parsed({"--config", together.name(), "--probe-interval", "20s"}), !Contains(together.name()));
}

TEST_CASE("reverseProxy: a listener is given once", "[config]") {
  CHECK_THROWS_WITH(parsed({"--listen", "127.0.0.1:80", "--listen", "127.0.0.1:80=web"}),
                    Contains("--listen: 127.0.0.1:80 is given twice"));
  CHECK(parsed({"--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}).listen.size() == 2);
}

TEST_CASE("reverseProxy: listeners that overlap are refused, for the second could not be opened", "[config]") {
  for (const auto& [one, other] : {std::pair{":80", "0.0.0.0:80"}, {"0.0.0.0:80", "[::]:80"}, {":80", "127.0.0.1:80=x"},
                                   {"10.1.1.1:80", "*:80"}, {"[::1]:80", "[::]:80"}, {"127.0.0.1:80", "0.0.0.0:80"}}) {
    CAPTURE(one, other);
    CHECK_THROWS_WITH(parsed({"--listen", one, "--listen", other}),
                      Contains("--listen: ") && Contains(" overlaps with --listen "));
    CHECK_THROWS_AS(parsed({"--listen", one, "--listen", other}), UsageError);
  }
  for (const auto& [one, other] : {std::pair{":80", ":81"}, {"0.0.0.0:80", "[::1]:80"}, {"10.1.1.1:80", "10.1.1.2:80"},
                                   {":0", "127.0.0.1:0"}}) {
    CAPTURE(one, other);
    CHECK(parsed({"--listen", one, "--listen", other}).listen.size() == 2);
  }
  CHECK_THROWS_WITH(parsed({"--listen", ":8404"}),
                    Contains("--admin: 127.0.0.1:8404 overlaps with --listen [::]:8404"));
  CHECK_THROWS_WITH(parsed({"--listen", "127.0.0.1:8404"}), Contains("--admin: 127.0.0.1:8404 is --listen's already"));
  CHECK(parsed({"--listen", ":8404", "--admin", "off"}).listen.size() == 1);
}

TEST_CASE("reverseProxy: a back-end that is the proxy itself is refused, else it would be its own client without end",
          "[config]") {
  for (const auto& [listen, backend] : {std::pair{"127.0.0.1:80", "127.0.0.1:80"}, {":80", "127.0.0.1:80"},
                                        {":80", "[::1]:80"}, {"0.0.0.0:80", "127.0.0.7:80,weight=2"},
                                        {"198.51.100.1:80", "198.51.100.1:80"}}) {
    CAPTURE(listen, backend);
    CHECK_THROWS_WITH(parsed({"--listen", ":81", "--listen", listen, "--backend", backend}),
                      Contains("--backend: ") && Contains(" is this proxy's own --listen "));
    CHECK_THROWS_AS(parsed({"--listen", listen, "--backend", backend}), UsageError);
  }
  CHECK_THROWS_WITH(parsed({"--backend", "127.0.0.1:80"}),
                    "--backend: 127.0.0.1:80 is this proxy's own --listen [::]:80 (want the service's own port)");
  for (const auto& [listen, backend] : {std::pair{"127.0.0.1:80", "127.0.0.2:80"}, {"127.0.0.1:80", "127.0.0.1:81"},
                                        {":80", "198.51.100.1:80"}, {"0.0.0.0:80", "[::1]:80"},
                                        {"[::1]:80", "127.0.0.1:80"}}) {
    CAPTURE(listen, backend);
    CHECK(parsed({"--listen", listen, "--backend", backend}).backends.size() == 1);
  }
}

TEST_CASE("reverseProxy: the ranges that need no key are loopback, private and link-local", "[config]") {
  const auto allowed = [](const char* ip) {
    for (const Cidr& range : private_ranges())
      if (range.contains(*Address::parse_ip(ip))) return true;
    return false;
  };
  for (const char* ip :
       {"127.0.0.1", "10.9.9.9", "172.20.0.1", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"})
    CHECK(allowed(ip));
  for (const char* ip : {"8.8.8.8", "172.32.0.1", "192.169.0.1", "2001:db8::1"}) CHECK_FALSE(allowed(ip));
}
