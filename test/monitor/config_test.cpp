#include "monitor/config.hpp"

#include <catch2/catch.hpp>

#include "common/error.hpp"

using namespace farol;
using farol::monitor::Config;
using farol::monitor::parse_config;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

Config parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "monitorUDP");
  return *parse_config(static_cast<int>(arguments.size()), arguments.data());
}

void refused(const std::vector<const char*>& arguments, const char* why) {
  CHECK_THROWS_AS(parse(arguments), UsageError);
  CHECK_THROWS_WITH(parse(arguments), Contains(why));
}

}  // namespace

TEST_CASE("monitorUDP's command line: the report's `20 10.1.1.10`", "[monitor_config]") {
  const Config config = parse({"20", "10.1.1.10"});
  CHECK(config.interval == 20s);
  REQUIRE(config.proxies.size() == 1);
  CHECK(config.proxies[0].host == "10.1.1.10");
  CHECK(config.proxies[0].port == 5555);
  CHECK(config.bind == Address::any(5555));
  CHECK(config.load.service_port == 80);
  CHECK(config.pool == "default");
  CHECK_FALSE(config.load.fixed);
}

TEST_CASE("monitorUDP's command line: every flag", "[monitor_config]") {
  const Config config = parse({"0.5", "one", "two:7000", "--bind", "127.0.0.2", "--service-port", "8080", "--pool",
                               "shop", "--fixed-report", "cpu=1,mem=2,tcp=3", "--key-file", "k"});
  CHECK(config.interval == 500ms);
  CHECK(config.proxies.at(1).port == 7000);
  CHECK(config.bind == *Address::parse("127.0.0.2:5555"));
  CHECK(config.load.service_port == 8080);
  CHECK(config.pool == "shop");
  CHECK(config.load.fixed == monitoring::Load{100, 200, 3, 3});
  CHECK(config.key_file == "k");
  CHECK(parse({"20s", "h", "--bind", ":0"}).bind == Address::any(0));
}

TEST_CASE("monitorUDP's command line: what is wrong is named", "[monitor_config]") {
  refused({}, "interval-seconds is required");
  refused({"20"}, "proxy is required");
  refused({"x", "h"}, "interval 'x'");
  refused({"0", "h"}, "interval '0': out of range");
  refused({"2d", "h"}, "interval '2d': out of range");
  refused({"20", ":5555"}, "proxy ':5555'");
  refused({"20", "h:0"}, "proxy 'h:0'");
  refused({"20", "h:x"}, "'x' is not a port");
  refused({"20", "h", "--bind", "name"}, "--bind: 'name'");
  refused({"20", "h", "--service-port", "0"}, "--service-port");
  refused({"20", "h", "--service-port", "65536"}, "--service-port");
  refused({"20", "h", "--fixed-report", "cpu=1"}, "--fixed-report: ");
  refused({"20", "h", "--fixed-report", "cpu=1,mem=1,tcp=1", "--report-from", "f"}, "excludes");
}
