#include "proxy/strangers.hpp"

#include <catch2/catch.hpp>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

MonitoringStatus told_by(const Strangers& strangers, TimePoint now) {
  MonitoringStatus status;
  strangers.fill(status, now);
  return status;
}

}  // namespace

TEST_CASE("Strangers: of each reason the last source is known, and how long ago it was", "[strangers]") {
  Strangers strangers;
  CHECK(told_by(strangers, kStart).last_drops.empty());
  strangers.dropped(DropReason::mac, at("192.0.2.1:5555"), kStart);
  strangers.dropped(DropReason::not_allowed, at("192.0.2.2:5555"), kStart + 1s);
  strangers.dropped(DropReason::mac, at("192.0.2.3:5555"), kStart + 2s);
  const MonitoringStatus status = told_by(strangers, kStart + 5s);
  REQUIRE(status.last_drops.size() == 2);
  CHECK(status.last_drops[0].reason == "mac");
  CHECK(status.last_drops[0].peer == at("192.0.2.3:5555"));
  CHECK(status.last_drops[0].age == 3s);
  CHECK(status.last_drops[1].reason == "not_allowed");
}

TEST_CASE("Strangers: who registers is remembered until it answers, or was silent for long", "[strangers]") {
  Strangers strangers;
  strangers.challenged(at("10.0.0.1:5555"), 80, kStart);
  strangers.challenged(at("10.0.0.2:5555"), 81, kStart + 1s);
  strangers.challenged(at("10.0.0.1:5555"), 80, kStart + 2s);
  const MonitoringStatus status = told_by(strangers, kStart + 5s);
  REQUIRE(status.unanswered.size() == 2);
  const UnansweredAgent& latest = status.unanswered[1];
  CHECK(latest.agent == at("10.0.0.1:5555"));
  CHECK(latest.service_port == 80);
  CHECK(latest.registers == 2);
  CHECK(latest.first_age == 5s);
  CHECK(latest.age == 3s);
  strangers.answered(at("10.0.0.1:5555"));
  CHECK(told_by(strangers, kStart + 5s).unanswered.size() == 1);
  CHECK(told_by(strangers, kStart + 1s + Strangers::kForgottenAfter).unanswered.empty());
}

TEST_CASE("Strangers: a flood takes no more memory, and pushes out who was silent longest", "[strangers]") {
  Strangers strangers;
  for (std::uint16_t port = 1; port <= 1000; ++port)
    strangers.challenged(at("10.0.0.1:1").with_port(port), 80, kStart + port * 1ms);
  const MonitoringStatus status = told_by(strangers, kStart + 2s);
  REQUIRE(status.unanswered.size() == Strangers::kMostAgents);
  CHECK(status.unanswered.back().agent.port() == 1000);
}

TEST_CASE("Membership: an agent is a stranger from its first Register to its first answer", "[strangers]") {
  Bench bench({}, {{}, {Cidr::parse("10.0.0.0/8")}, {}});
  const TestAgent agent("10.0.0.1:5555", 1), foreign("192.0.2.1:5555", 2);
  const auto told = [&] {
    MonitoringStatus status;
    bench.membership.fill(status, bench.now);
    return status;
  };
  const auto challenge = bench.deliver(agent.peer, agent.hello());
  CHECK_FALSE(bench.deliver(foreign.peer, foreign.hello()));
  bench.now += 1s;
  REQUIRE(told().unanswered.size() == 1);
  CHECK(told().unanswered[0].agent == agent.peer);
  REQUIRE(told().last_drops.size() == 1);
  CHECK(told().last_drops[0].peer == foreign.peer);
  CHECK(told().allowed == std::vector<std::string>{"10.0.0.0/8"});
  bench.deliver(agent.peer, agent.answer(challenge.value()));
  CHECK(told().unanswered.empty());
  CHECK_FALSE(bench.row(agent)->status(bench.now).register_age);
  bench.deliver(agent.peer, agent.hello());
  bench.now += 3s;
  const BackendStatus row = bench.row(agent)->status(bench.now);
  CHECK(row.register_age == Duration(3s));
  CHECK(row.agent == agent.peer);
  CHECK(row.listening);
}
