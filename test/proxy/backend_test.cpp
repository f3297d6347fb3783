#include "proxy/backend.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using Check = Backend::Check;
using Answer = Backend::Answer;

namespace {

constexpr Duration kTimeout = 500ms;
const MonitoringConfig kTimers;
const WeightedConfig kConfig;
const AgentPath kPath{at("10.0.0.1:5555"), at("10.0.0.9:5555"), 2};

/// A back-end whose agent was admitted at kStart.
struct Row : Backend {
  Row() : Backend(1, {at("10.0.0.1:80"), 7}, "web", Source::agent, kConfig) { adopt(kPath, 42, kStart); }
};
struct StaticRow : Backend {
  StaticRow() : Backend(1, {at("10.0.0.1:80"), 7}, "web", Source::configured, kConfig) {}
};

monitoring::ProbeResponse answer(const monitoring::ProbeRequest& request, bool listening = true) {
  return {{80, 7, 42}, request.sequence, request.nonce, {1700, 8900, 5, 2}, listening, false};
}

}  // namespace

TEST_CASE("Backend: a static one is new, then what connects say", "[backend]") {
  StaticRow row;
  CHECK(row.state(kStart) == State::new_);
  CHECK(row.tier(kStart, Policy::weighted) == Tier::last_resort);
  CHECK(row.tier(kStart, Policy::report) == Tier::never);
  CHECK(row.needs_check(kStart));
  row.take_check(true, kStart, kTimers);
  CHECK(row.state(kStart) == State::up);
  CHECK(row.tier(kStart, Policy::report) == Tier::primary);
  row.backup = true;
  CHECK(row.tier(kStart, Policy::report) == Tier::backup);
  CHECK(row.next_check == kStart + kTimers.probe_interval);
  row.take_check(false, kStart, kTimers);
  CHECK(row.state(kStart) == State::down);
  CHECK_FALSE(row.forgotten(kStart + 24h, kTimers));
}

TEST_CASE("Backend: the precedence of states: operator, failed connects, agent, nothing known", "[backend]") {
  Row row;
  CHECK(row.state(kStart) == State::up);  // the agent's word
  row.connect_failed(kStart, true);
  CHECK(row.state(kStart) == State::ejected);
  const auto probe = row.make_probe(100, kStart, kTimeout);
  REQUIRE(row.take_response(answer(probe), kStart + 1ms, kTimeout) == Answer::taken);  // all is well, it says
  CHECK(row.state(kStart) == State::ejected);
  CHECK(row.check_alive() == false);  // heard since the last check
  CHECK(row.check_alive());
  CHECK(row.state(kStart) == State::ejected);  // silent and ejected
  row.take_check(false, kStart, kTimers);
  CHECK(row.state(kStart) == State::down);  // down before ejected
  row.agent.draining = true;
  CHECK(row.state(kStart) == State::drain);
  row.agent.draining = false;
  row.agent.leaving = true;
  CHECK(row.state(kStart) == State::drain);
  row.agent.leaving = false;
  row.admin = AdminState::drain;
  CHECK(row.state(kStart) == State::drain);
  row.agent.draining = true;
  row.admin = AdminState::maint;
  CHECK(row.state(kStart) == State::maint);
  CHECK(row.tier(kStart, Policy::weighted) == Tier::never);
  row.admin = AdminState::ready;
  row.agent.draining = false;
  CHECK(row.state(kStart) == State::down);  // orders change nothing of what connects said
}

TEST_CASE("Backend: a good report does not bring back a service that refused, a connect does", "[backend]") {
  Row row;
  const auto says_well = [&row](TimePoint when) {
    const auto probe = row.make_probe(100, when, kTimeout);
    REQUIRE(row.take_response(answer(probe), when + 1ms, kTimeout) == Answer::taken);
    row.heard(when + 1ms);
  };
  row.connect_failed(kStart, true);
  row.take_check(false, kStart + 1s, kTimers);
  for (const Duration later : {1s, 5s, 60s}) {
    says_well(kStart + later);
    CHECK(row.state(kStart + later) == State::down);
    CHECK(row.tier(kStart + later, Policy::weighted) == Tier::last_resort);
    CHECK(row.needs_check(kStart + later));
  }
  CHECK(row.next_check == kStart + 1s + kTimers.probe_interval);  // one after the other, for as long as it takes
  row.take_check(true, kStart + 61s, kTimers);
  CHECK(row.state(kStart + 61s) == State::up);
  CHECK_FALSE(row.needs_check(kStart + 61s));
}

TEST_CASE("Backend: one that may not be ejected, for too many are, is looked at all the same", "[backend]") {
  Row row;
  row.connect_failed(kStart, false);
  CHECK(row.state(kStart) == State::up);
  CHECK(row.next_check == kStart + 1s);
  row.connect_failed(kStart + 900ms, false);
  CHECK(row.next_check == kStart + 1s);  // not put off by further failures
  CHECK(row.needs_check(kStart + 1s));
  row.take_check(false, kStart + 1s, kTimers);
  CHECK(row.state(kStart + 1s) == State::down);
}

TEST_CASE("Backend: a required agent's silence means down, whatever the service says", "[backend]") {
  Row row;
  row.require_agent = true;
  CHECK(row.state(kStart) == State::up);
  row.check_alive();
  REQUIRE(row.check_alive());
  CHECK(row.state(kStart) == State::down);
  row.take_check(true, kStart, kTimers);
  CHECK(row.state(kStart) == State::down);
  CHECK(row.tier(kStart, Policy::weighted) == Tier::last_resort);
  CHECK(row.tier(kStart, Policy::report) == Tier::never);
  row.admin = AdminState::drain;
  CHECK(row.state(kStart) == State::drain);
  row.admin = AdminState::ready;
  row.heard(kStart);
  CHECK(row.state(kStart) == State::up);
  StaticRow without_agent;
  without_agent.require_agent = true;
  without_agent.take_check(true, kStart, kTimers);
  CHECK(without_agent.state(kStart) == State::up);
}

TEST_CASE("Backend: a silent agent's service decides between stale and down", "[backend]") {
  Row row;
  row.check_alive();
  REQUIRE(row.check_alive());
  CHECK(row.agent.silent);
  CHECK(row.state(kStart) == State::stale);
  CHECK(row.tier(kStart, Policy::weighted) == Tier::primary);
  CHECK(row.tier(kStart, Policy::report) == Tier::never);
  row.take_check(true, kStart, kTimers);
  CHECK(row.state(kStart) == State::stale);
  row.take_check(false, kStart, kTimers);
  CHECK(row.state(kStart) == State::down);
  CHECK(row.tier(kStart, Policy::weighted) == Tier::last_resort);
  row.heard(kStart + 2s);
  CHECK(row.state(kStart + 2s) == State::down);
  CHECK(row.next_check == kStart + 2s);  // at once, now that there is hope
  row.take_check(true, kStart + 2s, kTimers);
  CHECK(row.state(kStart + 2s) == State::up);
  CHECK_FALSE(row.needs_check(kStart + 2s));
  // Silent once more: the old verdict does not count.
  row.check_alive();
  row.check_alive();
  CHECK(row.state(kStart) == State::stale);
}

TEST_CASE("Backend: an agent that hears nobody listen has its service checked at once", "[backend]") {
  Row row;
  row.next_check = kStart + 4s;
  row.take_load(answer({}, false), kStart);
  CHECK(row.next_check == kStart);
  CHECK(row.needs_check(kStart));
  CHECK(row.check == Check::unknown);
  CHECK(row.state(kStart) == State::up);  // a reason to look, no verdict
  row.take_check(false, kStart, kTimers);
  CHECK(row.state(kStart) == State::down);
  row.take_load(answer({}, false), kStart + 1s);
  CHECK(row.state(kStart + 1s) == State::down);
  CHECK(row.next_check == kStart + kTimers.probe_interval);
  row.take_check(true, kStart + 5s, kTimers);  // behind a container's port mapping
  CHECK(row.state(kStart + 5s) == State::up);
  row.take_load(answer({}, true), kStart + 6s);
  CHECK_FALSE(row.needs_check(kStart + 6s));
  row.take_load(answer({}, false), kStart + 7s);
  row.take_check(false, kStart + 7s, kTimers);
  row.take_load(answer({}, true), kStart + 8s);
  CHECK(row.state(kStart + 8s) == State::down);  // until a connect proves it, at once
  CHECK(row.next_check == kStart + 8s);
}

TEST_CASE("Backend: still not listening after a silence stays down", "[backend]") {
  Row row;
  row.take_load(answer({}, false), kStart);
  row.take_check(false, kStart, kTimers);
  row.check_alive();
  row.check_alive();
  row.take_check(false, kStart, kTimers);
  row.heard(kStart);
  row.take_load(answer({}, false), kStart);
  CHECK(row.state(kStart) == State::down);
}

TEST_CASE("Backend: ejected for 1, 2, 4, 8, 10, 10 seconds; a connection starts over", "[backend]") {
  Row row;
  TimePoint now = kStart;
  for (const int seconds : {1, 2, 4, 8, 10, 10}) {
    row.connect_failed(now, true);
    CHECK(row.next_check == now + 1s);
    row.connect_failed(now, true);  // one that began before: no longer ejection for it
    CHECK(row.status(now).ejected_for == std::chrono::seconds(seconds));
    now += std::chrono::seconds(seconds);
    CHECK(row.is_ejected(now - 1ns));
    CHECK_FALSE(row.is_ejected(now));
    CHECK(row.state(now) == State::up);
  }
  CHECK(row.connections_failed == 12);
  row.signals.first_byte(1ms);
  row.take_signals(1, now);
  row.connect_failed(now, true);
  CHECK(row.status(now).ejected_for == 1s);
}

TEST_CASE("Backend: an ejection ends by an accepted check or a new agent", "[backend]") {
  Row row;
  row.connect_failed(kStart, true);
  CHECK(row.needs_check(kStart));
  row.take_check(true, kStart, kTimers);
  CHECK(row.state(kStart) == State::up);
  row.connect_failed(kStart, true);
  row.adopt(kPath, 43, kStart);
  CHECK(row.state(kStart) == State::up);
  row.connect_failed(kStart, false);  // too many are ejected already
  CHECK(row.state(kStart) == State::up);
}

TEST_CASE("Backend: probes are numbered from 1, answers need number and nonce", "[backend]") {
  Row row;
  const auto first = row.make_probe(100, kStart, kTimeout);
  const auto second = row.make_probe(200, kStart, kTimeout);
  CHECK(first.sequence == 1);
  CHECK(second.sequence == 2);
  CHECK(row.take_response(answer({2, 100, false}), kStart, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer({1, 101, false}), kStart, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer(second), kStart + 20ms, kTimeout) == Answer::taken);
  CHECK(row.take_response(answer(first), kStart + 30ms, kTimeout) == Answer::taken);
  CHECK(row.estimates().rtt().sample() == Duration(30ms));
  CHECK(row.take_response(answer(first), kStart + 30ms, kTimeout) == Answer::wrong_nonce);
  CHECK_FALSE(row.has_outstanding());
}

TEST_CASE("Backend: lost once, late once, never both", "[backend]") {
  Row row;
  const auto probe = row.make_probe(100, kStart, kTimeout);
  CHECK(row.expire_probes(kStart + 499ms, kTimeout, false).lost == 0);
  SECTION("the alarm is first") {
    CHECK(row.expire_probes(kStart + 500ms, kTimeout, false).lost == 1);
    CHECK(row.take_response(answer(probe), kStart + 501ms, kTimeout) == Answer::late);
  }
  SECTION("the answer is first") {
    CHECK(row.take_response(answer(probe), kStart + 501ms, kTimeout) == Answer::late);
    CHECK(row.estimates().loss().share() == 0);
    CHECK(row.expire_probes(kStart + 550ms, kTimeout, false).lost == 1);
  }
  CHECK(row.estimates().loss().share() == 1);
  CHECK_FALSE(row.estimates().rtt().sample());
  // A copy of the late answer is nothing.
  CHECK(row.take_response(answer(probe), kStart + 502ms, kTimeout) == Answer::wrong_nonce);
  CHECK(row.expire_probes(kStart + 1s, kTimeout, false).lost == 0);
}

TEST_CASE("Backend: what is lost in silence is no loss of the path", "[backend]") {
  Row row;
  const auto lose = [&row](TimePoint at) {
    row.make_probe(100, at, kTimeout);
    REQUIRE(row.expire_probes(at + kTimeout, kTimeout, false).lost == 1);
  };
  lose(kStart);
  const double once = row.load_view(kStart + kTimeout).loss;
  CHECK(once > 0);
  row.agent.silent = true;
  for (int i = 1; i < 20; ++i) lose(kStart + i * 1s);
  CHECK(row.load_view(kStart + 20s).loss == once);
  CHECK(row.estimates().loss().share() == 1);  // the report counts them all
  row.heard(kStart + 20s);
  lose(kStart + 21s);
  CHECK(row.load_view(kStart + 22s).loss == once);
}

TEST_CASE("Backend: losses that turn out to be an outage are no loss of the path, once it is over", "[backend]") {
  const bool silent = GENERATE(true, false);
  Row row;
  const auto lose = [&row](TimePoint at) {
    row.make_probe(100, at, kTimeout);
    REQUIRE(row.expire_probes(at + kTimeout, kTimeout, false).lost == 1);
  };
  const auto loss = [&row] { return row.load_view(kStart + 60s).loss; };
  lose(kStart);
  const double by_chance = loss();
  row.heard(kStart + 1s);
  CHECK(loss() == by_chance);
  for (int i = 2; i < 10; ++i) lose(kStart + i * 1s);
  CHECK(loss() == Approx(1 - std::pow(1 - by_chance, 4)));  // every third is no repetition
  if (silent)
    row.agent.silent = true;
  else
    row.connect_failed(kStart + 10s, true);
  lose(kStart + 10s);
  row.heard(kStart + 11s);
  CHECK(loss() == by_chance);
}

TEST_CASE("Backend: probes in flight while this process slept are void", "[backend]") {
  Row row;
  const auto probe = row.make_probe(100, kStart, kTimeout);
  CHECK(row.expire_probes(kStart + 5s, kTimeout, true).lost == 0);
  CHECK(row.has_outstanding());
  SECTION("an answer that waited in the socket is taken") {
    CHECK(row.take_response(answer(probe), kStart + 10ms, kTimeout) == Answer::taken);
    CHECK(row.estimates().rtt().sample() == Duration(10ms));
  }
  SECTION("one that arrived when the machine woke is late, no loss") {
    CHECK(row.take_response(answer(probe), kStart + 5s, kTimeout) == Answer::late);
  }
  SECTION("none is no loss either") {
    CHECK(row.expire_probes(kStart + 5499ms, kTimeout, false).lost == 0);
    CHECK(row.has_outstanding());
  }
  CHECK(row.expire_probes(kStart + 5500ms, kTimeout, false).lost == 0);
  CHECK_FALSE(row.has_outstanding());
  CHECK(row.estimates().loss().share() == 0);
}

TEST_CASE("Backend: a new life voids probes, loss and RTT", "[backend]") {
  Row row;
  const auto lost = row.make_probe(100, kStart, kTimeout);
  row.expire_probes(kStart + 1s, kTimeout, false);
  const auto probe = row.make_probe(200, kStart + 1s, kTimeout);
  row.adopt(kPath, 43, kStart + 1s);
  CHECK(row.estimates().loss().share() == 0);
  CHECK(row.estimates().rtt().estimated() == 200ms);
  CHECK_FALSE(row.recent_nonce(probe.nonce));
  CHECK(row.take_response(answer(probe), kStart + 1s, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer(lost), kStart + 1s, kTimeout) == Answer::wrong_nonce);
  CHECK(row.make_probe(300, kStart + 1s, kTimeout).sequence == 3);
}

TEST_CASE("Backend: the last two nonces are known, zero never", "[backend]") {
  Row row;
  CHECK_FALSE(row.recent_nonce(0));
  for (const std::uint64_t nonce : {1, 2, 3}) row.make_probe(nonce, kStart, kTimeout);
  CHECK_FALSE(row.recent_nonce(1));
  CHECK(row.recent_nonce(2));
  CHECK(row.recent_nonce(3));
}

TEST_CASE("Backend: an agent that never answers costs bounded memory", "[backend]") {
  Row row;
  for (std::uint64_t n = 1; n <= 1000; ++n) row.make_probe(n, kStart, 1h);
  CHECK_FALSE(row.is_outstanding(1000 - 16, 1000 - 16));
  CHECK(row.is_outstanding(1000 - 15, 1000 - 15));
}

TEST_CASE("Backend: forgotten after 3 x the larger interval, never with connections", "[backend]") {
  Row row;
  CHECK_FALSE(row.forgotten(kStart + 30s, kTimers));
  CHECK(row.forgotten(kStart + 30s + 1ns, kTimers));
  row.agent.register_interval = 20s;
  CHECK_FALSE(row.forgotten(kStart + 60s, kTimers));
  CHECK(row.forgotten(kStart + 61s, kTimers));
  row.signals.opened();
  CHECK_FALSE(row.forgotten(kStart + 61s, kTimers));
  row.agent.leaving = true;
  CHECK_FALSE(row.forgotten(kStart, kTimers));
  row.signals.closed(true);
  CHECK(row.forgotten(kStart, kTimers));
}

TEST_CASE("Backend: the status says what is known and how old it is", "[backend]") {
  Row row;
  const BackendStatus before = row.status(kStart);
  CHECK_FALSE(before.score);
  CHECK_FALSE(before.report_age);
  CHECK_FALSE(before.rtt_sample_ms);
  const auto probe = row.make_probe(100, kStart, kTimeout);
  REQUIRE(row.take_response(answer(probe), kStart + 11ms, kTimeout) == Answer::taken);
  const BackendStatus status = row.status(kStart + 1s);
  CHECK(status.address == at("10.0.0.1:80"));
  CHECK(status.pool == "web");
  CHECK(row.estimates().report_score().value() == 100.0);  // memory 89 %
  CHECK(row.estimates().report_score().components.sum() == Approx(.165 + .15 + .085 + .445));
  CHECK(status.rtt_sample_ms == Approx(11));
  CHECK(status.rtt_estimated_ms == Approx(176.375));
  CHECK(status.tcp == 5U);
  CHECK(status.tcp_service == 2U);
  CHECK(status.cpu == Approx(.17));
  CHECK(status.memory == Approx(.89));
  CHECK(status.report_age == Duration(989ms));
}
