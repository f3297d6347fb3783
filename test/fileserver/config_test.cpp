#include "fileserver/config.hpp"

#include <catch2/catch.hpp>

#include "common/error.hpp"
#include "transfer/codec.hpp"

using namespace farol;
using Catch::Contains;
using farol::fileserver::Config;
using farol::fileserver::parse_config;

namespace {

Config parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "FastFileSrv");
  return *parse_config(static_cast<int>(arguments.size()), arguments.data());
}

void refused(const std::vector<const char*>& arguments, const char* why) {
  CHECK_THROWS_AS(parse(arguments), UsageError);
  CHECK_THROWS_WITH(parse(arguments), Contains(why));
}

}  // namespace

TEST_CASE("FastFileSrv's command line: the report's `192.168.1.100 80`", "[fileserver_config]") {
  const Config config = parse({"192.168.1.100", "80"});
  CHECK(config.gateway.host == "192.168.1.100");
  CHECK(config.gateway.port == 80);
  CHECK(config.root == ".");
  CHECK(transfer::valid_name(config.name));
  CHECK(parse({"192.168.1.100", "80"}).name != config.name);
}

TEST_CASE("FastFileSrv's command line: every flag", "[fileserver_config]") {
  const Config config = parse({"localhost", "8080", "--root", "/srv", "--name", "one", "--log-level", "debug"});
  CHECK(config.gateway.host == "localhost");
  CHECK(config.gateway.port == 8080);
  CHECK(config.root == "/srv");
  CHECK(config.name == "one");
  CHECK(config.common.log_level == LogLevel::debug);
  CHECK(parse({"::1", "80"}).gateway.host == "::1");
}

TEST_CASE("FastFileSrv's command line: what is wrong is named", "[fileserver_config]") {
  refused({}, "gateway-address is required");
  refused({"h"}, "gateway-port is required");
  refused({"", "80"}, "gateway-address ''");
  refused({"http://h/", "80"}, "gateway-address 'http://h/'");
  refused({"h", "0"}, "gateway-port: Value 0 not in range 1 to 65535");
  refused({"h", "x"}, "gateway-port: Value x not in range 1 to 65535");
  refused({"h", "65536"}, "gateway-port: Value 65536 not in range 1 to 65535");
  refused({"h", "80", "--name", ""}, "--name ''");
  refused({"h", "80", "--name", "a b"}, "--name 'a b'");
  refused({"h", "80", "--key-file", "k"}, "--key-file");
  refused({"h", "80", "extra"}, "extra");
}
