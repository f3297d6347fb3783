#include "proxy/backend.hpp"

#include <catch2/catch.hpp>

#include "proxy/backend_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using Check = Backend::Check;
using Answer = Backend::Answer;

TEST_CASE("Backend: one check without an answer is asked again, the second one counts", "[backend]") {
  StaticRow row;
  row.take_check(true, kStart, kTimers);
  row.check_unanswered = true;
  row.take_check(false, kStart + 5s, kTimers);
  CHECK(row.state(kStart + 5s) == State::up);
  CHECK(row.next_check == kStart + 5s);
  row.take_check(false, kStart + 6s, kTimers);
  CHECK(row.state(kStart + 6s) == State::down);
  row.take_check(true, kStart + 11s, kTimers);
  row.take_check(false, kStart + 16s, kTimers);
  CHECK(row.state(kStart + 16s) == State::up);
  row.take_check(true, kStart + 17s, kTimers);  // it was the packet
  row.take_check(false, kStart + 22s, kTimers);
  CHECK(row.state(kStart + 22s) == State::up);
  row.check_unanswered = false;
  row.take_check(false, kStart + 23s, kTimers);
  CHECK(row.state(kStart + 23s) == State::down);
}

TEST_CASE("Backend: a silent agent's service has a second check, too", "[backend]") {
  Row row;
  row.check_alive();
  REQUIRE(row.check_alive());  // silent
  row.check_unanswered = true;
  row.take_check(false, kStart, kTimers);
  CHECK(row.state(kStart) == State::stale);
  row.take_check(false, kStart + 1s, kTimers);
  CHECK(row.state(kStart + 1s) == State::down);
}

TEST_CASE("Backend: after a connection that failed one check without an answer is enough", "[backend]") {
  StaticRow row;
  row.take_check(true, kStart, kTimers);
  row.connect_failed(kStart, true);
  row.check_unanswered = true;
  row.take_check(false, kStart + 1s, kTimers);
  CHECK(row.state(kStart + 60s) == State::down);
}

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

TEST_CASE("Backend: its status tells of a slow start while it lasts", "[backend]") {
  Row row;
  CHECK_FALSE(row.status(kStart).slow_start);
  row.enter(true, true, kStart);
  CHECK(row.status(kStart + kConfig.slow_start / 2).slow_start == 0.5);
  CHECK_FALSE(row.status(kStart + kConfig.slow_start).slow_start);
  row.enter(false, true, kStart + 1s);  // it starts anew when it is back
  CHECK_FALSE(row.status(kStart + 2s).slow_start);
  row.weight = 3;
  CHECK(row.status(kStart).weight == 3);
}
