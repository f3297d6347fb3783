#include "proxyctl/finding.hpp"

#include <catch2/catch.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

using namespace farol::proxyctl;
using nlohmann::json;

// Each rule of `proxyctl check` alone, on a status that is all right but for one thing.

namespace {

json healthy() {
  return json::parse(R"({
    "version": "0.1.0", "uptime_s": 3600, "policy": "weighted", "ready": true, "draining": false,
    "reloads": {"done": 0, "failed": 0}, "log": {"lines_dropped": 0},
    "connections": {"active": 3, "waiting": 0, "max": 9000, "total": 1200,
                    "rejected": {"limit": 0, "source_limit": 0, "no_backend": 0, "queue_full": 0, "queue_timeout": 0,
                                 "connect_failed": 0, "no_thread": 0, "no_resources": 0},
                    "last_rejected_ms": {}},
    "limits": {"connections": 9000, "bound_by": "ulimit -n: 20000", "open_files": 20000, "threads": 32768, "queue": 1024},
    "monitoring": {"address": "[::]:5555", "keys": 1, "allow": [], "dropped": {"mac": 0, "late": 3},
                   "last_dropped": {}, "unanswered": []},
    "pools": [{"name": "default", "policy": "weighted", "waiting": 0}],
    "backends": [
      {"address": "10.1.1.1:80", "pool": "default", "source": "agent", "state": "up", "score": 0.7, "loss": 0.05,
       "components": {"rtt": 0.2, "tcp": 0.1, "loss": 0.1, "cpu": 0.2, "memory": 0.1, "doubt": 0},
       "rtt_ms": {"sample": 11.2, "estimated": 12}, "report_age_ms": 400, "cause": "its agent answers",
       "connections": {"active": 3, "max": null, "total": 1198, "failed": 0}, "ordered": "ready", "service": null,
       "ejected_until_ms": null, "conflicts": 0, "probes": {"sent": 9, "answered": 9, "lost": 0},
       "agent": {"address": "10.1.1.1:5555", "silent": false, "listening": true, "register_age_ms": 900}}]})");
}

/// What is found besides what is found in health, which is nothing.
Finding only(const json& status) {
  const Findings found = find_trouble(status);
  INFO(findings_json(found).dump(1));
  REQUIRE(found.size() == 1);
  CHECK_FALSE(found[0].seen.empty());
  CHECK_FALSE(found[0].advice.empty());
  return found[0];
}

/// The finding of a rule among others.
Finding of_rule(const json& status, const std::string& rule) {
  const Findings found = find_trouble(status);
  INFO(findings_json(found).dump(1));
  const auto it = std::find_if(found.begin(), found.end(), [&](const Finding& each) { return each.rule == rule; });
  REQUIRE(it != found.end());
  return *it;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

json with(const char* path, const json& value) {
  json status = healthy();
  status[json::json_pointer(path)] = value;
  return status;
}

json rejected(const std::string& reason, int times, double age_ms) {
  json status = with(("/connections/rejected/" + reason).c_str(), times);
  status["connections"]["last_rejected_ms"][reason] = age_ms;
  return status;
}

json with_backend(const json& changes) {
  json status = healthy();
  status["backends"][0].merge_patch(changes);
  return status;
}

/// One more that is well, so that the pool is served.
json and_another(json status) {
  json other = healthy()["backends"][0];
  other["address"] = "10.1.1.2:80";
  status["backends"].push_back(other);
  return status;
}

json dropped(const char* reason, double age_ms) {
  json status = healthy();
  status["monitoring"]["dropped"][reason] = 4;
  status["monitoring"]["last_dropped"][reason] = {{"peer", "192.0.2.9:5555"}, {"age_ms", age_ms}};
  return status;
}

}  // namespace

TEST_CASE("check: a set-up that is well is said to be in a line", "[check]") {
  CHECK(find_trouble(healthy()).empty());
  CHECK(findings_text(healthy(), {}) == "all is well: 1 of 1 back-ends are up, 3 connections\n");
  CHECK(findings_json({}) == json({{"errors", 0}, {"warnings", 0}, {"findings", json::array()}}));
}

TEST_CASE("check: no back-end, and whether anything came at all", "[check]") {
  json status = healthy();
  status["backends"] = json::array();
  status["monitoring"]["dropped"] = json::object();
  const Finding nothing = only(status);
  CHECK(nothing.severity == Severity::error);
  CHECK(nothing.rule == "no-backend");
  CHECK(has(nothing.seen, "no datagram has come to UDP 5555"));
  CHECK(has(nothing.advice, "udp dport 5555 accept"));
  status["monitoring"]["dropped"]["mac"] = 4;
  CHECK(has(of_rule(status, "no-backend").seen, "none of them led to one"));
}

TEST_CASE("check: an agent that registers and answers no probe", "[check]") {
  json status = healthy();
  json& agents = status["monitoring"]["unanswered"];
  agents = {{{"agent", "10.1.1.7:5555"}, {"service_port", 80}, {"registers", 12}, {"first_age_ms", 14000}, {"age_ms", 800}}};
  const Finding found = only(status);
  CHECK(found.severity == Severity::error);
  CHECK(found.rule == "probes-unanswered");
  CHECK(found.seen == "the agent 10.1.1.7:5555 registers TCP port 80 (12 times in 14 s, the last 0.8 s ago) and answers no probe");
  CHECK(has(found.advice, "UDP from this machine's port 5555 to 10.1.1.7:5555"));
  CHECK(has(found.advice, "key that stands first"));
  status["monitoring"]["keys"] = 0;
  CHECK_FALSE(has(of_rule(status, "probes-unanswered").advice, "key"));
  agents[0]["registers"] = 1;  // it may be on its way
  CHECK(find_trouble(status).empty());
  agents[0]["registers"] = 12;
  agents[0]["age_ms"] = 31000;  // it has gone
  CHECK(find_trouble(status).empty());
}

TEST_CASE("check: datagrams that were dropped, by reason and age", "[check]") {
  const Finding key = only(dropped("mac", 500));
  CHECK(key.severity == Severity::error);
  CHECK(key.rule == "key-mismatch");
  CHECK(key.seen == "4 datagrams were dropped that were signed with another key or with none; the last came from "
                    "192.0.2.9:5555, 0.5 s ago");
  CHECK(has(key.advice, "sha256sum"));
  CHECK(only(dropped("mac", 61'000)).severity == Severity::warning);
  CHECK(only(dropped("mac", 601'000)).severity == Severity::note);
  json keyless = dropped("mac", 500);
  keyless["monitoring"]["keys"] = 0;
  CHECK(has(only(keyless).advice, "this proxy has none"));

  json foreign = dropped("not_allowed", 500);
  foreign["monitoring"]["allow"] = {"10.0.0.0/8", "127.0.0.0/8"};
  CHECK(only(foreign).rule == "not-allowed");
  CHECK(has(only(foreign).advice, "--allow 192.0.2.9/32 (allowed now: 10.0.0.0/8, 127.0.0.0/8)"));

  CHECK(only(dropped("loop", 500)).rule == "loop");
  CHECK(only(dropped("table_full", 500)).severity == Severity::error);
  CHECK(only(dropped("conflict", 500)).rule == "two-agents");
  for (const char* reason : {"version", "size", "type", "malformed"})
    CHECK(only(dropped(reason, 500)).rule == "foreign-datagrams");
  CHECK(only(dropped("alias", 500)).severity == Severity::note);
  for (const char* usual : {"late", "nonce", "unknown"}) CHECK(find_trouble(dropped(usual, 500)).empty());
}

TEST_CASE("check: without a key whoever is allowed may register, which is a note", "[check]") {
  json status = with("/monitoring/keys", 0);
  status["monitoring"]["allow"] = {"10.0.0.0/8"};
  CHECK(only(status).severity == Severity::note);
  CHECK(only(status).rule == "no-key");
}

TEST_CASE("check: a service port that is closed, refuses or does not answer", "[check]") {
  const json down = {{"state", "down"}, {"service", "refused"}};
  json status = and_another(with_backend(down));
  CHECK(only(status).rule == "service-refuses");
  CHECK(only(status).backend == "10.1.1.1:80");
  CHECK(has(only(status).advice, "127.0.0.1 only?"));
  status["backends"][0]["agent"]["listening"] = false;
  CHECK(only(status).rule == "service-closed");
  CHECK(has(only(status).advice, "--service-port"));
  status["backends"][0]["service"] = "unreachable";
  CHECK(only(status).rule == "service-unreachable");
  CHECK(has(only(status).advice, "nc -zv 10.1.1.1 80"));
  status["backends"][0]["agent"] = nullptr;
  status["backends"][0]["service"] = "refused";
  CHECK(has(only(status).advice, "--backend"));
}

TEST_CASE("check: a silent agent, and whether it or the way to it is to blame", "[check]") {
  const json silent = {{"state", "stale"}, {"report_age_ms", 40'000}, {"agent", {{"silent", true}, {"register_age_ms", 900}}}};
  json status = and_another(with_backend(silent));
  json& row = status["backends"][0];
  const Finding blocked = only(status);
  CHECK(blocked.rule == "probes-unanswered");
  CHECK(blocked.severity == Severity::warning);
  CHECK(has(blocked.seen, "answered no probe for 40 s"));
  row["agent"]["register_age_ms"] = 39'500;  // it was the last that came
  CHECK(only(status).rule == "agent-silent");
  CHECK_FALSE(has(only(status).advice, "ask again"));
  CHECK(has(only(status).advice, "on 10.1.1.1: does monitorUDP run"));
  row["agent"]["register_age_ms"] = nullptr;
  row["report_age_ms"] = 12'000;
  CHECK(has(only(status).advice, "ask again"));
  row["state"] = "down";
  CHECK(only(status).severity == Severity::error);
  CHECK(has(only(status).seen, "--require-agent"));
  row["state"] = "stale";
  status["pools"][0]["policy"] = "report";
  CHECK(only(status).severity == Severity::error);
  CHECK(has(only(status).seen, "under policy report"));
}

TEST_CASE("check: under report a pool whose agents are all silent is not served", "[check]") {
  json status = with_backend({{"state", "stale"}, {"agent", {{"silent", true}}}});
  CHECK(only(status).rule == "agent-silent");
  status["pools"][0]["policy"] = "report";
  CHECK(of_rule(status, "nobody-serves").seen == "no back-end of pool default gets connections: 1 stale");
}

TEST_CASE("check: all out of service is wrong, one of several is to be known", "[check]") {
  json status = with_backend({{"state", "maint"}, {"ordered", "maint"}, {"cause", "the operator's order"}});
  CHECK(of_rule(status, "all-out-of-service").severity == Severity::error);
  CHECK(of_rule(status, "all-out-of-service").seen == "no back-end of pool default gets connections: 1 maint");
  status = and_another(std::move(status));
  CHECK(only(status).severity == Severity::note);
  CHECK(has(only(status).advice, "proxyctl ready 10.1.1.1:80"));
  status["backends"][0].merge_patch({{"state", "drain"}, {"ordered", "ready"}});
  CHECK(has(only(status).advice, "USR1"));
}

TEST_CASE("check: pools are told apart", "[check]") {
  json status = healthy();
  status["pools"].push_back({{"name", "web"}, {"policy", "report"}, {"waiting", 0}});
  CHECK(only(status).rule == "empty-pool");
  status = and_another(std::move(status));
  status["backends"][1].merge_patch({{"pool", "web"}, {"state", "drain"}, {"ordered", "drain"}});
  CHECK(has(of_rule(status, "all-out-of-service").seen, "pool web"));
  CHECK(of_rule(status, "out-of-service").backend == "10.1.1.2:80/web");
}

TEST_CASE("check: a back-end in a pool that no listener serves is lost, however well it looks", "[check]") {
  json status = healthy();
  status["listeners"] = {{{"address", "0.0.0.0:80"}, {"pool", "default"}}};
  CHECK(find_trouble(status).empty());
  status = and_another(std::move(status));
  status["pools"].push_back({{"name", "wbe"}, {"policy", "weighted"}, {"waiting", 0}});
  status["backends"][1]["pool"] = "wbe";
  const Finding stray = only(status);
  CHECK(stray.severity == Severity::error);
  CHECK(stray.rule == "pool-not-served");
  CHECK(stray.backend == "10.1.1.2:80/wbe");
  CHECK(stray.seen == "its agent 10.1.1.1:5555 registers for pool wbe, which no --listen serves: no client gets there");
  CHECK(stray.advice == "add =wbe to a --listen, or correct the agent's --pool");
  status["backends"][1].merge_patch({{"agent", nullptr}, {"source", "static"}});
  CHECK(has(only(status).seen, "it is configured for pool wbe"));
  CHECK(has(only(status).advice, "pool= in its --backend"));
  status["backends"][1]["pool"] = "#c81b7aca";
  status["pools"][1]["name"] = "#c81b7aca";
  CHECK(has(only(status).seen, "pool #c81b7aca (the hash of a name that this proxy does not know)"));
  CHECK(has(only(status).advice, "add =NAME to a --listen"));
  status["backends"].erase(0);  // the pool that clients are sent to has nobody
  CHECK(has(of_rule(status, "empty-pool").seen, "pool default"));
  status["pools"].push_back({{"name", "spare"}, {"policy", "report"}});  // of which a policy speaks, and no listener
  CHECK(find_trouble(status).size() == 2);
}

TEST_CASE("check: one that leaves is brought back by no order", "[check]") {
  const json goodbye = {{"state", "drain"}, {"leaving", "goodbye"}, {"cause", "its agent said goodbye"}};
  json status = and_another(with_backend(goodbye));
  const Finding left = only(status);
  CHECK(left.rule == "leaving");
  CHECK(left.severity == Severity::note);
  CHECK(left.seen == "gets no new connections and goes with its last one (3 open): its agent said goodbye");
  CHECK(has(left.advice, "start its agent again"));
  status["backends"][0].merge_patch({{"leaving", "configuration"}, {"source", "static"}, {"agent", nullptr}});
  CHECK(has(only(status).advice, "put it back into the configuration"));
  CHECK_FALSE(has(only(status).advice, "USR1"));
}

TEST_CASE("check: what brings a pool back depends on why all are out", "[check]") {
  json status = with_backend({{"state", "drain"}, {"leaving", "goodbye"}, {"cause", "its agent said goodbye"}});
  CHECK(of_rule(status, "all-out-of-service").seen == "no back-end of pool default gets connections: 1 leaving");
  CHECK(has(of_rule(status, "all-out-of-service").advice, "start an agent for it again"));
  status["backends"][0]["leaving"] = nullptr;
  CHECK(has(of_rule(status, "all-out-of-service").advice, "USR1"));
  status["backends"][0]["ordered"] = "drain";
  CHECK(has(of_rule(status, "all-out-of-service").advice, "proxyctl ready"));
}

TEST_CASE("check: ejected, not checked, lossy, contested, doubtful and full back-ends", "[check]") {
  const auto found = [](const json& changes) { return only(and_another(with_backend(changes))); };
  const Finding ejected = found({{"state", "ejected"}, {"ejected_until_ms", 2500}, {"connections", {{"failed", 7}}}});
  CHECK(ejected.rule == "ejected");
  CHECK(ejected.seen == "is left out for 2.5 s more: a connection to it failed (7 since the start)");
  CHECK(found({{"state", "new"}}).severity == Severity::note);
  CHECK(found({{"loss", 0.4}}).rule == "probes-lost");
  CHECK(has(found({{"loss", 0.4}}).advice, "11.2 ms"));
  CHECK(found({{"conflicts", 2}}).rule == "two-agents");
  CHECK(found({{"components", {{"doubt", 0.5}}}}).rule == "doubtful-report");
  CHECK(found({{"connections", {{"max", 3}}}}).rule == "backend-full");
}

TEST_CASE("check: limits that are too low", "[check]") {
  CHECK(only(with("/connections/max", 50'000)).rule == "limits-too-low");
  CHECK(has(only(with("/connections/max", 50'000)).seen, "--max-connections 50000"));
  json few = with("/connections/max", 448);
  few["limits"] = {{"connections", 448}, {"bound_by", "ulimit -n: 1024"}, {"queue", 1024}};
  CHECK(has(only(few).seen, "448 connections (ulimit -n: 1024)"));
  few["connections"]["max"] = 100;  // asked for so few: the limits do not matter
  CHECK(find_trouble(few).empty());
  CHECK(only(with("/connections/active", 8100)).severity == Severity::warning);
  CHECK(only(with("/connections/active", 9000)).severity == Severity::error);
  CHECK(only(with("/connections/waiting", 1024)).rule == "queue-full-now");
}

TEST_CASE("check: clients that were turned away, by reason", "[check]") {
  const std::pair<const char*, const char*> rules[] = {
      {"limit", "limit-reached"},       {"source_limit", "source-limit"},     {"queue_full", "queue-full"},
      {"queue_timeout", "queue-timeout"}, {"connect_failed", "connect-failed"}, {"no_thread", "no-thread"},
      {"no_resources", "no-resources"}};
  for (const auto& [reason, rule] : rules) {
    const Finding found = only(rejected(reason, 7, 30'000));
    CHECK(found.rule == rule);
    CHECK(found.severity == Severity::warning);
    CHECK(has(found.seen, "7 clients were turned away in 60 min (the last 30 s ago), who "));
  }
  CHECK(has(only(rejected("limit", 1, 1000)).seen, "1 client was turned away in 60 min (the last 1.0 s ago), who "));
  CHECK(has(only(rejected("limit", 7, 1000)).advice, "ulimit -n: 20000"));
  CHECK(only(rejected("no_backend", 7, 1000)).severity == Severity::note);
}

TEST_CASE("check: who was turned away long ago is no trouble any more", "[check]") {
  CHECK(only(rejected("limit", 7, 599'000)).severity == Severity::warning);
  CHECK(only(rejected("limit", 7, 601'000)).severity == Severity::note);
  CHECK(only(with("/connections/rejected/limit", 7)).severity == Severity::note);
}

TEST_CASE("check: who waited in vain waited for room only where there are limits", "[check]") {
  CHECK(has(only(rejected("queue_timeout", 7, 1000)).advice, "missing, down or out of service"));
  json limited = rejected("queue_timeout", 7, 1000);
  limited["backends"][0]["connections"]["max"] = 100;
  CHECK(has(only(limited).advice, "--max-connections-per-backend"));
}

TEST_CASE("check: the proxy itself", "[check]") {
  CHECK(only(with("/draining", true)).rule == "stopping");
  CHECK(only(with("/reloads/failed", 1)).rule == "reload-failed");
  CHECK(only(with("/log/lines_dropped", 1)).rule == "log-lines-dropped");
}

TEST_CASE("check: the worst comes first, and of a thousand alike ten are printed", "[check]") {
  json status = with("/log/lines_dropped", 1);
  for (int i = 0; i < 1000; ++i) {
    json row = status["backends"][0];
    row["address"] = "10.2.0.1:" + std::to_string(1000 + i);
    row["state"] = "down";
    row["service"] = "refused";
    status["backends"].push_back(row);
  }
  const Findings found = find_trouble(status);
  CHECK(found.front().severity == Severity::error);
  CHECK(found.back().severity == Severity::note);
  const std::string text = findings_text(status, found);
  CHECK(has(text, "990 more of service-refuses (--json has them all)\n"));
  CHECK(has(text, "\n1000 errors, 0 warnings\n"));
  CHECK(findings_json(found)["findings"].size() == 1001);
  CHECK(findings_json(found)["errors"] == 1000);
}

TEST_CASE("check: a status that is not ours is not judged, and its text does not steer the terminal", "[check]") {
  CHECK(find_trouble(json::object()).empty());
  CHECK_NOTHROW(find_trouble(json::parse(R"({"backends": [1, null, {"agent": 3, "state": []}], "monitoring": 4, "pools": {}})")));
  CHECK_NOTHROW(find_trouble(json::parse(R"({"monitoring": {"dropped": {"mac": 1}, "last_dropped": {"mac": [1]}, "unanswered": [7]}})")));
  json evil = with_backend({{"pool", "\x1b[2J"}, {"state", "down"}, {"service", "refused"}});
  evil["pools"].push_back({{"name", "\x1b[2J"}});
  CHECK_FALSE(has(findings_text(evil, find_trouble(evil)), "\x1b"));
}
