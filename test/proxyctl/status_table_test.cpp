#include "proxyctl/status_table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using farol::proxyctl::status_table;
using nlohmann::json;

namespace {

const json kStatus = json::parse(R"({
  "version": "0.1.0", "uptime_s": 3725.5, "engine": "threads", "policy": "weighted", "ready": true, "draining": false,
  "connections": {"active": 3, "total": 1200, "rejected": {"no_backend": 2, "limit": 1, "source": 0}},
  "bytes": {"in": 512, "out": 1572864}, "monitoring": {"dropped": {}},
  "backends": [
    {"address": "10.1.1.1:80", "pool": "default", "state": "up", "score": 0.6951,
     "rtt_ms": {"sample": 11.2, "estimated": 130.14}, "loss": 0.05, "tcp": 7, "cpu": 0.17, "memory": 0.89,
     "report_age_ms": 400, "connections": {"active": 3, "total": 1198, "failed": 0}},
    {"address": "[2001:db8::1]:8080", "pool": "web", "state": "stale", "score": null,
     "rtt_ms": {"sample": null, "estimated": null}, "loss": 0, "tcp": null, "cpu": null, "memory": null,
     "report_age_ms": 61000, "connections": {"active": 0, "total": 2, "failed": 1}}]})");

}  // namespace

TEST_CASE("status is an aligned table under a headline") {
  CHECK(status_table(kStatus) ==
        "Farol 0.1.0, ready, up 1h02m, engine threads, policy weighted\n"
        "connections: 3 active, 1200 in total, 3 rejected (limit 1, no_backend 2); bytes: 512 B in, 1.5 MiB out\n"
        "\n"
        "BACKEND             POOL     STATE  SCORE  RTT(ms)  LOSS  TCP  CPU  MEM    AGE  ACTIVE  TOTAL  FAILED\n"
        "10.1.1.1:80         default  up     0.695     11.2    5%    7  17%  89%   0.4s       3   1198       0\n"
        "[2001:db8::1]:8080  web      stale      -        -    0%    -    -    -  1m01s       0      2       1\n");
}

TEST_CASE("a pool that no listener serves is told of under the table") {
  json status = kStatus;
  status["listeners"] = {{{"address", "0.0.0.0:80"}, {"pool", "default"}}};
  const std::string text = status_table(status);
  CHECK(text.find("\nno --listen serves pool web (proxyctl check says what to do)\n") != std::string::npos);
  CHECK(text.find("serves pool default") == std::string::npos);
  for (json& row : status["backends"]) row["leaving"] = "configuration";
  CHECK(status_table(status).find("--listen") == std::string::npos);
}

TEST_CASE("without back-ends status says so") {
  json status = kStatus;
  status["backends"] = json::array();
  status["ready"] = false;
  status["monitoring"]["dropped"] = {{"bad_mac", 4}};
  CHECK(status_table(status) ==
        "Farol 0.1.0, not ready, up 1h02m, engine threads, policy weighted\n"
        "connections: 3 active, 1200 in total, 3 rejected (limit 1, no_backend 2); bytes: 512 B in, 1.5 MiB out\n"
        "monitoring packets: 4 dropped (bad_mac 4)\nno back-ends\n");
}

TEST_CASE("a status that is not ours is shown, not believed") {
  CHECK_NOTHROW(status_table(json::object()));
  CHECK_NOTHROW(status_table(json::parse(R"({"backends": [1, null, {"rtt_ms": 3, "connections": []}], "bytes": 4})")));
  CHECK_NOTHROW(status_table(json::parse(R"({"uptime_s": 1e300, "connections": {"rejected": {"a": "b"}}})")));
  json evil = kStatus;
  evil["backends"][0]["pool"] = "\x1b[2J\r\nx";
  const std::string text = status_table(evil);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("?[2J??x") != std::string::npos);
}
