#include "proxyctl/top_view.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace farol::proxyctl;
using nlohmann::json;

namespace {

const json kBefore = json::parse(R"({
  "version": "0.1.0", "uptime_s": 10, "engine": "threads", "policy": "weighted", "ready": true, "draining": false,
  "connections": {"active": 1, "waiting": 0, "total": 100, "rejected": {"limit": 0}}, "bytes": {"in": 0, "out": 1024},
  "backends": [{"address": "10.1.1.1:80", "pool": "web", "state": "up", "score": 0.5, "loss": 0.05, "tcp": 7,
                "components": {"rtt": 0.2, "tcp": 0.1, "loss": 0, "cpu": 0.1, "memory": 0.1, "doubt": 0},
                "rtt_ms": {"sample": 11.2}, "cpu": 0.17, "memory": 0.89, "report_age_ms": 400,
                "connections": {"active": 3, "total": 60}}]})");

json later() {
  json status = kBefore;
  status["uptime_s"] = 12;
  status["connections"]["total"] = 125;
  status["connections"]["rejected"]["limit"] = 4;
  status["bytes"] = {{"in", 2048}, {"out", 1024}};
  status["backends"][0]["connections"]["total"] = 70;
  return status;
}

}  // namespace

TEST_CASE("top: rates are from two statuses, by the proxy's own time", "[top]") {
  const TopView view = top_view(later(), kBefore);
  CHECK(view.headlines == std::vector<std::string>{
                              "Farol 0.1.0, ready, up 12.0s, engine threads, policy weighted",
                              "connections: 1 active, 125 in total, 12.5/s; bytes/s: 1.0 KiB in, 0 B out",
                              "clients: 0 waiting, 4 rejected (limit 4)"});
  REQUIRE(view.rows.size() == 1);
  CHECK(view.rows[0].rate == 5.0);
  CHECK(view.rows[0].id == "10.1.1.1:80/web");
  CHECK(view.rows[0].parts == std::array<double, 6>{0.2, 0.1, 0, 0.1, 0.1, 0});
  CHECK(view.rows[0].rtt_ms == 11.2);
}

TEST_CASE("top: there is no rate at first, after a restart, or of a newcomer", "[top]") {
  CHECK_FALSE(top_view(kBefore, {}).rows[0].rate);
  CHECK(top_view(kBefore, {}).headlines[1] == "connections: 1 active, 100 in total, -/s; bytes/s: - in, - out");
  CHECK_FALSE(top_view(kBefore, later()).rows[0].rate);  // younger than the one before
  CHECK_FALSE(top_view(kBefore, kBefore).rows[0].rate);  // no time has passed
  json restarted = later();
  restarted["backends"][0]["connections"]["total"] = 3;  // known by another process
  CHECK_FALSE(top_view(restarted, kBefore).rows[0].rate);
  json moved = later();
  moved["backends"][0]["pool"] = "api";
  CHECK_FALSE(top_view(moved, kBefore).rows[0].rate);
}

TEST_CASE("top: a status that is not ours is shown, not believed", "[top]") {
  CHECK_NOTHROW(top_view(json::object(), json::array()));
  const TopView view = top_view(json::parse(R"({"backends": [1, null, {"score": "x", "components": 3, "pool": "\u001b[2J"}]})"), 4);
  REQUIRE(view.rows.size() == 1);
  CHECK_FALSE(view.rows[0].score);
  CHECK(view.rows[0].pool == "?[2J");
}
