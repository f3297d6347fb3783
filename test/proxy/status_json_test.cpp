#include "proxy/status_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using nlohmann::json;

// What the status has for those who look for what is wrong; the rest of it is in admin_test.cpp.

namespace {

Address at(const char* text) { return *Address::parse(text); }

}  // namespace

TEST_CASE("status: what does not lead to a back-end is told, and who may register") {
  ProxyStatus now;
  now.dropped_packets = {{"mac", 7}};
  now.monitoring.address = "[::]:5555";
  now.monitoring.keys = 2;
  now.monitoring.allowed = {"10.0.0.0/8"};
  now.monitoring.last_drops = {{"mac", at("192.0.2.9:5555"), 500ms}};
  now.monitoring.unanswered = {{at("10.0.0.7:5555"), 80, 3, 2s, 1s}};
  CHECK(json::parse(status_json(now))["monitoring"] ==
        json({{"dropped", {{"mac", 7}}},
              {"last_dropped", {{"mac", {{"peer", "192.0.2.9:5555"}, {"age_ms", 500.0}}}}},
              {"unanswered", {{{"agent", "10.0.0.7:5555"}, {"service_port", 80}, {"registers", 3}, {"first_age_ms", 2000.0},
                               {"age_ms", 1000.0}}}},
              {"address", "[::]:5555"},
              {"keys", 2},
              {"allow", {"10.0.0.0/8"}}}));
  CHECK(json::parse(status_json({}))["monitoring"]["last_dropped"] == json::object());
  CHECK(json::parse(status_json({}))["monitoring"]["unanswered"] == json::array());
}

TEST_CASE("status: limits are told with what bounds them, pools with their policies") {
  ProxyStatus now;
  now.connections_fit = 9900;
  now.bound_by = "ulimit -n: 20000";
  now.descriptors_most = 20000;
  now.threads_most = 32768;
  now.queue_most = 1024;
  now.pools.resize(1);
  now.pools[0].name = "web";
  now.pools[0].policy = "report";
  now.pools[0].waiting = 4;
  const json status = json::parse(status_json(now));
  CHECK(status["limits"] == json({{"connections", 9900}, {"bound_by", "ulimit -n: 20000"}, {"open_files", 20000},
                                  {"threads", 32768}, {"queue", 1024}}));
  CHECK(status["pools"] == json({{{"name", "web"}, {"policy", "report"}, {"waiting", 4}}}));
}

TEST_CASE("status: of a back-end it is told what its agent, its probes and its service do") {
  ProxyStatus now;
  now.backends.resize(2);
  BackendStatus& known = now.backends[0];
  known.address = at("10.0.0.1:80");
  known.agent = at("10.0.0.1:5555");
  known.state = State::down;
  known.agent_silent = true;
  known.listening = false;
  known.register_age = 1s;
  known.service_failed = known.service_unanswered = true;
  known.probes_sent = 9;
  known.probes_answered = 7;
  known.probes_lost = 2;
  known.ordered = AdminState::ready;
  now.backends[1].address = at("10.0.0.2:80");
  now.backends[1].source = Source::configured;
  now.backends[1].backup = true;
  now.backends[1].weight = 2.5;
  now.backends[1].slow_start = 0.25;
  now.backends[1].ordered = AdminState::drain;
  const json rows = json::parse(status_json(now))["backends"];
  CHECK(rows[0]["agent"] == json({{"address", "10.0.0.1:5555"}, {"silent", true}, {"listening", false},
                                  {"register_age_ms", 1000.0}}));
  CHECK(rows[0]["probes"] == json({{"sent", 9}, {"answered", 7}, {"lost", 2}}));
  CHECK(rows[0]["service"] == "unreachable");
  CHECK(rows[0]["cause"] == "its agent is silent, and its service does not answer");
  CHECK(rows[0]["ordered"] == "ready");
  CHECK(rows[0]["backup"] == false);
  CHECK(rows[0]["weight"] == 1);
  CHECK(rows[0]["slow_start"].is_null());
  CHECK(rows[1]["agent"].is_null());
  CHECK(rows[1]["service"].is_null());
  CHECK(rows[1]["backup"] == true);
  CHECK(rows[1]["weight"] == 2.5);
  CHECK(rows[1]["slow_start"] == 0.25);
  CHECK(rows[1]["ordered"] == "drain");
  known.service_unanswered = false;
  CHECK(json::parse(status_json(now))["backends"][0]["service"] == "refused");
}
