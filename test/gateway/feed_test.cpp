#include "gateway/feed.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "gateway/fake_gateway.hpp"
#include "gateway/window.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace std::chrono_literals;
using farol::test::FakeGateway;
using nlohmann::json;

namespace {

/// A second passes.
json next(FakeGateway& gateway, GatewayFeed& feed) {
  gateway.now.uptime += 1s;
  feed.sample(TimePoint{1'000'000s} + gateway.now.uptime,
              std::chrono::system_clock::time_point{1'700'000'000s} + gateway.now.uptime);
  return json::parse(*feed.changes().json);
}

json snapshot(GatewayFeed& feed) { return json::parse(*feed.snapshot().json); }

}  // namespace

TEST_CASE("the gateway's snapshot has all file servers, its changes only what changed", "[dashboard]") {
  FakeGateway gateway;
  GatewayFeed feed(gateway);
  next(gateway, feed);
  const json all = snapshot(feed);
  CHECK(all["kind"] == "gateway");
  CHECK(all["now_ms"] == 1000);
  CHECK(all["wall_ms"] == 1'700'000'001'000);
  REQUIRE(all["servers"].size() == 2);
  CHECK(all["servers"][0]["id"] == "one");
  CHECK(all["servers"][0]["address"] == "10.0.0.1:9000");
  CHECK(all["servers"][0]["rate"].is_null());
  CHECK(all["events"].size() == 2);
  CHECK(all["events"][0]["kind"] == "joined");

  CHECK(next(gateway, feed)["changed"].size() == 2);  // now there is a rate, and both were heard
  gateway.now.pool.servers[0].heard_ago += 1s;
  gateway.now.pool.servers[1].chunks = 10;
  gateway.now.pool.servers[1].lost = 2;
  const json tick = next(gateway, feed);
  REQUIRE(tick["changed"].size() == 1);
  CHECK(tick["changed"][0]["rate"] == 10 * kChunkSize);
  CHECK(tick["changed"][0]["lost_rate"] == 2);
  CHECK(tick["changed"][0]["duplicate_rate"] == 0);
  CHECK(tick["gone"].empty());
  gateway.now.pool.servers.pop_back();
  const json gone = next(gateway, feed);
  CHECK(gone["gone"] == json({"two"}));
  CHECK(gone["events"][0]["kind"] == "left");
  CHECK(gone["events"][0]["cause"] == "it said goodbye");
}

TEST_CASE("the gateway's feed says who fell silent, who is left out and who recovered", "[dashboard]") {
  FakeGateway gateway;
  GatewayFeed feed(gateway);
  next(gateway, feed);
  ServerStatus& one = gateway.now.pool.servers[0];
  const auto event = [&] { return next(gateway, feed)["events"].at(0); };
  one.state = ServerState::suspect;
  json latest = event();
  CHECK(latest["backend"] == "one");
  CHECK(latest["kind"] == "silent");
  CHECK(latest["from"] == "up");
  CHECK(latest["cause"].get<std::string>().find("three seconds") != std::string::npos);
  one.state = ServerState::down;
  CHECK(event()["kind"] == "down");
  one.state = ServerState::up;
  CHECK(event()["kind"] == "recovered");
  one.undelivered = true;
  latest = event();
  CHECK(latest["kind"] == "left out");
  CHECK(latest["cause"].get<std::string>().find("large packets") != std::string::npos);
  one.undelivered = false;
  CHECK(event()["kind"] == "recovered");
  one.left_out = true;  // for a moment: nothing to tell
  CHECK(next(gateway, feed)["events"].empty());
  one.state = ServerState::down;
  event();
  gateway.now.pool.servers.erase(gateway.now.pool.servers.begin());
  CHECK(event()["cause"] == "nothing was heard from it for ten minutes");
}

TEST_CASE("a file server that comes back under its name starts with no rate, and keeps its history", "[dashboard]") {
  FakeGateway gateway;
  GatewayFeed feed(gateway);
  gateway.now.pool.servers[0].chunks = 1000;
  next(gateway, feed);
  gateway.now.pool.servers[0].chunks = 5;
  CHECK(next(gateway, feed)["changed"][0]["rate"].is_null());
  gateway.now.pool.servers[0].chunks = 7;
  gateway.now.pool.servers[0].rtt = 1500us;
  CHECK(next(gateway, feed)["changed"][0]["rate"] == 2 * kChunkSize);
  const auto text = feed.history("one");
  REQUIRE(text);
  const json series = json::parse(*text)["series"];
  CHECK(series.size() == 7);
  CHECK(series["rate"].back() == 2 * kChunkSize);
  CHECK(series["rtt_ms"].back() == Approx(0.5));  // the mean of three samples
  CHECK_FALSE(feed.history("three"));
}

TEST_CASE("the gateway's feed renders once for each sample, whatever bytes a path has", "[dashboard]") {
  FakeGateway gateway;
  GatewayFeed feed(gateway);
  TransferStatus transfer;
  transfer.path = "a\xff\"<script>\n";
  transfer.found = true;
  transfer.wanted = 100;
  gateway.now.pool.longest = {transfer};
  next(gateway, feed);
  CHECK(snapshot(feed)["longest_transfers"][0]["path"] == "a\xef\xbf\xbd\"<script>\n");
  CHECK(feed.snapshot().json->find('\n') == std::string::npos);  // it would end the event
  const auto first = feed.snapshot();
  CHECK(first.json == feed.snapshot().json);
  CHECK(first.sample == 1);
  next(gateway, feed);
  CHECK(feed.changes().sample == 2);
  CHECK(feed.snapshot().json != first.json);
}
