#include "gateway/config.hpp"

#include <catch2/catch.hpp>

#include "common/error.hpp"

using namespace farol;
using namespace farol::gateway;

namespace {

Config parse(std::vector<const char*> words) {
  words.insert(words.begin(), "HttpGw");
  Config config;
  REQUIRE_FALSE(parse_config(static_cast<int>(words.size()), words.data(), config));
  return config;
}

std::string complaint(std::vector<const char*> words) {
  words.insert(words.begin(), "HttpGw");
  Config config;
  try {
    static_cast<void>(parse_config(static_cast<int>(words.size()), words.data(), config));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "(none)";
}

}  // namespace

TEST_CASE("HttpGw: defaults are the report's port on all addresses", "[gateway]") {
  const Config config = parse({});
  CHECK(config.listen == Address::any(80));
  CHECK_FALSE(config.admin);
  CHECK(config.allow.empty());
  CHECK(config.engine == EngineKind::threads);
  CHECK(config.workers > 0);
}

TEST_CASE("HttpGw: address and port as in the report, and its flags", "[gateway]") {
  const Config config = parse({"192.168.1.100", "8080", "--admin", "127.0.0.1:9000", "--allow", "10.0.0.0/8", "--engine",
                               "events", "--drain-timeout", "5s", "--admin-name", "gw.example"});
  CHECK(config.listen.text() == "192.168.1.100:8080");
  CHECK(config.admin->text() == "127.0.0.1:9000");
  CHECK(config.allow.at(0).text() == "10.0.0.0/8");
  CHECK(config.engine == EngineKind::events);
  CHECK(config.drain_timeout == std::chrono::seconds(5));
  CHECK(config.admin_names == std::vector<std::string>{"gw.example"});
  CHECK(parse({"::1", "81"}).listen.text() == "[::1]:81");
  CHECK(parse({"0.0.0.0"}).listen.text() == "0.0.0.0:80");
}

TEST_CASE("HttpGw: what is wrong is named", "[gateway]") {
  CHECK(complaint({"gateway.example"}).find("address: 'gateway.example' is not an IP address") == 0);
  CHECK(complaint({"0.0.0.0", "99999"}).find("port") != std::string::npos);
  CHECK(complaint({"--allow", "10.0.0.0/99"}).find("--allow: ") == 0);
  CHECK(complaint({"--admin", "nowhere"}).find("--admin: ") == 0);
  CHECK(complaint({"--no-such-flag"}).find("--no-such-flag") != std::string::npos);
}
