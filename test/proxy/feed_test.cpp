#include "proxy/feed.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "proxy/causes.hpp"
#include "proxy/decision.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const TimePoint kStart{1'000'000s};
const std::chrono::system_clock::time_point kWall{1'700'000'000s};

BackendStatus backend(const std::string& address, State state) {
  BackendStatus result;
  result.address = *Address::parse(address);
  result.pool = "web";
  result.state = state;
  return result;
}

/// A status to be written by the test.
class FakeProxy final : public ProxyView {
 public:
  FakeProxy() { now.backends = {backend("10.0.0.1:80", State::up), backend("10.0.0.2:80", State::up)}; }
  [[nodiscard]] ProxyStatus status() const override { return now; }
  [[nodiscard]] std::vector<Decision> decisions() const override { return decided; }
  Change set_state(const std::string&, const Order&) override { return Change::done; }
  UpgradeOutcome upgrade() override { return {}; }

  /// A second passes.
  json next(ProxyFeed& feed) {
    now.uptime += 1s;
    feed.sample(kStart + now.uptime, kWall + now.uptime);
    return json::parse(*feed.changes().json);
  }

  ProxyStatus now;
  std::vector<Decision> decided;
};

json snapshot(ProxyFeed& feed) { return json::parse(*feed.snapshot().json); }

}  // namespace

TEST_CASE("the feed's snapshot has the whole pool, its changes only what changed", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.next(feed);
  const json all = snapshot(feed);
  CHECK(all["kind"] == "proxy");
  CHECK(all["now_ms"] == 1000);
  CHECK(all["wall_ms"] == 1'700'000'001'000);
  REQUIRE(all["backends"].size() == 2);
  CHECK(all["backends"][0]["id"] == "10.0.0.1:80/web");
  CHECK(all["backends"][0]["rate"].is_null());
  CHECK(all["events"].size() == 2);

  CHECK(proxy.next(feed)["changed"].size() == 2);  // now there is a rate
  CHECK(proxy.next(feed)["changed"].empty());
  proxy.now.backends[1].connections_total = 8;
  const json tick = proxy.next(feed);
  REQUIRE(tick["changed"].size() == 1);
  CHECK(tick["changed"][0]["rate"] == 8);
  CHECK(tick["gone"].empty());
  proxy.now.backends.pop_back();
  CHECK(proxy.next(feed)["gone"] == json({"10.0.0.2:80/web"}));
}

TEST_CASE("a back-end that comes back under its address starts with no rate", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.now.backends[0].connections_total = 1000;
  proxy.next(feed);
  proxy.now.backends[0].connections_total = 3;
  CHECK(proxy.next(feed)["changed"][0]["rate"].is_null());
  proxy.now.backends[0].connections_total = 5;
  CHECK(proxy.next(feed)["changed"][0]["rate"] == 2);
}

TEST_CASE("a row is valid JSON whatever bytes a name has, and changes only by what can be seen", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.now.backends.resize(1);
  proxy.now.backends[0].pool = "a\xff\"<script>";
  proxy.now.backends[0].score = 0.12341;
  proxy.next(feed);
  const json row = snapshot(feed)["backends"][0];
  CHECK(row["pool"] == "a\xef\xbf\xbd\"<script>");
  CHECK(row["score"] == 0.123);
  proxy.next(feed);  // now there is a rate
  proxy.now.backends[0].score = 0.12342;
  CHECK(proxy.next(feed)["changed"].empty());
}

TEST_CASE("a report that only grows older changes no row", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.now.backends.resize(1);
  proxy.now.backends[0].report_age = 100ms;
  proxy.next(feed);
  proxy.now.backends[0].report_age = 1100ms;
  proxy.next(feed);
  CHECK(snapshot(feed)["backends"][0]["reported_at_ms"] == 900);
  proxy.now.backends[0].report_age = 2100ms;
  CHECK(proxy.next(feed)["changed"].empty());
  proxy.now.backends[0].report_age = 100ms;
  CHECK(proxy.next(feed)["changed"][0]["reported_at_ms"] == 3900);
}

TEST_CASE("the feed renders once for each sample, and its texts say which", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.next(feed);
  const auto first = feed.snapshot(), second = feed.snapshot();
  CHECK(first.json == second.json);
  CHECK(first.sample == 1);
  proxy.next(feed);
  CHECK(feed.changes().sample == 2);
  CHECK(feed.snapshot().json != first.json);
}

TEST_CASE("the feed tells of each choice once", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  Decision old, fresh;
  old.number = 1;
  old.at = kStart + 500ms;
  fresh.number = 2;
  fresh.at = kStart + 1500ms;
  proxy.decided = {old};
  proxy.next(feed);
  CHECK(snapshot(feed)["decisions"].size() == 1);
  proxy.decided = {fresh, old};
  const json tick = proxy.next(feed);
  REQUIRE(tick["decisions"].size() == 1);
  CHECK(tick["decisions"][0]["number"] == 2);
  CHECK(tick["decisions"][0]["at_ms"] == 1'700'000'001'500);
  CHECK(proxy.next(feed)["decisions"].empty());
}

TEST_CASE("the feed keeps each back-end's figures", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  proxy.now.backends[0].cpu = 0.25;
  proxy.next(feed);
  const auto text = feed.history("10.0.0.1:80/web");
  REQUIRE(text);
  const json series = json::parse(*text)["series"];
  CHECK(series["cpu"].back() == 0.25);
  CHECK(series["score"].back().is_null());
  CHECK(series.size() == 8);
  CHECK_FALSE(feed.history("10.0.0.9:80/web"));
}

TEST_CASE("the event of a back-end that has left says how it went, not what it was like before", "[dashboard]") {
  FakeProxy proxy;
  ProxyFeed feed(proxy);
  const auto how = [&](const BackendStatus& last) {
    proxy.now.backends = {last};
    proxy.next(feed);
    proxy.now.backends.clear();
    const json event = proxy.next(feed)["events"].back();
    CHECK(event["kind"] == "left");
    return event["cause"].get<std::string>();
  };
  BackendStatus last = backend("10.0.0.1:80", State::up);
  CHECK(how(last) == "its agent said goodbye");
  last.agent_silent = true;
  last.state = State::stale;
  CHECK(how(last) == "silent for so long that it was forgotten");
  last.leaving = true;
  last.state = State::drain;
  last.departure = Departure::elsewhere;
  CHECK(how(last) == "its agent stands for another address, port or pool now");
  last = backend("10.0.0.1:80", State::up);
  last.source = Source::configured;
  CHECK(how(last) == "taken out of the configuration");
}

TEST_CASE("one that leaves while connections are open says why, whatever was ordered", "[dashboard]") {
  BackendStatus some = backend("10.0.0.1:80", State::drain);
  some.leaving = true;
  CHECK(cause_of(some) == std::string("its agent said goodbye"));
  some.ordered = AdminState::maint;
  some.state = State::maint;
  CHECK(cause_of(some) == std::string("its agent said goodbye"));
  some.departure = Departure::configuration;
  CHECK(cause_of(some) == std::string("the configuration has its address and does without its agent"));
  some.source = Source::configured;
  CHECK(cause_of(some) == std::string("taken out of the configuration"));
}

TEST_CASE("every state has its cause", "[dashboard]") {
  BackendStatus some = backend("10.0.0.1:80", State::drain);
  CHECK(cause_of(some) == std::string("its agent wants no new connections"));
  some.ordered = AdminState::drain;
  CHECK(cause_of(some) == std::string("the operator's order"));
  some.state = State::down;
  some.service_failed = true;
  CHECK(cause_of(some) == std::string("its service refuses connections"));
  some.agent_silent = true;
  CHECK(cause_of(some) == std::string("its agent is silent, and its service refuses connections"));
  some.service_unanswered = true;
  CHECK(cause_of(some) == std::string("its agent is silent, and its service does not answer"));
  some.agent_silent = false;
  CHECK(cause_of(some) == std::string("its service does not answer"));
  some.agent_silent = true;
  some.service_failed = false;
  CHECK(cause_of(some) == std::string("its agent is silent, and --require-agent is set"));
  some.state = State::up;
  CHECK(cause_of(some) == std::string("its agent answers"));
  some.pool_served = false;
  CHECK(cause_of(some) == std::string("its agent answers, but no listener serves its pool"));
  for (const State state : {State::new_, State::up, State::stale, State::ejected, State::maint}) {
    some.state = state;
    CHECK(*cause_of(some) != '\0');
  }
}
