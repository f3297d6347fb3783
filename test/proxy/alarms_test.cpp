#include "proxy/alarms.hpp"

#include <catch2/catch.hpp>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

const TestAgent kA("10.0.0.1:5555", 1), kB("10.0.0.2:5555", 2);

/// Five-second probes, each answered, for `span`.
void live(Bench& bench, const TestAgent& agent, Duration span) {
  for (const TimePoint end = bench.now + span; bench.now < end;) {
    bench.probe_and_answer(agent);
    bench.pass(5s - 10ms);
  }
}

/// The agent of a back-end that is down says that all is well: its service is checked at once, and that decides.
void came_back(Bench& bench) {
  bench.probe_and_answer(kA);
  CHECK(bench.state(kA) == State::down);
  const auto checks = bench.pass(50ms);
  REQUIRE(checks.size() == 1);
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::accepted}, bench.now);
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.pass(6s).empty());
}

}  // namespace

TEST_CASE("Alarms: a probe is lost when its time is out, and only once", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.probe_and_answer(kA);
  const auto probe = bench.probe(kA);
  bench.pass(450ms);
  CHECK(bench.row(kA)->estimates().loss().share() == 0);
  bench.pass(50ms);
  CHECK(bench.row(kA)->estimates().loss().share() == 0.5);
  CHECK(bench.row(kA)->estimates().report_score().components.loss == Approx(15));
  bench.deliver(kA.peer, kA.answer(probe));
  CHECK(bench.row(kA)->estimates().loss().share() == 0.5);
  CHECK(bench.dropped(DropReason::late) == 1);
  CHECK(bench.row(kA)->agent.last_packet == bench.now);  // late, but alive
}

TEST_CASE("Alarms: with the late answer of a silent agent its back-end is chosen like any other again", "[alarms]") {
  BackendTable::Options only_agents;
  only_agents.require_agent = true;
  Bench bench(only_agents);
  bench.join(kA);
  bench.join(kB);
  const auto probe = bench.probe(kA);
  for (int i = 0; i < 7; ++i) {
    bench.pass(4s);
    bench.probe_and_answer(kB);
  }
  REQUIRE(bench.state(kA) == State::down);
  REQUIRE(bench.state(kB) == State::up);
  bench.deliver(kA.peer, kA.answer(probe));
  CHECK(bench.dropped(DropReason::late) == 1);
  CHECK(bench.state(kA) == State::up);
  std::vector<Explained> explained;
  proxy::Pool& pool = bench.table.name_pool(std::string(monitoring::kDefaultPool));
  CHECK(bench.table.acquire(pool, {{}, bench.now, 0, &explained}));  // before any tick
  REQUIRE(explained.size() == 2);
  for (const Explained& each : explained) CHECK(each.state == State::up);
}

TEST_CASE("Alarms: a probe is lost in time also when the alarms looked at its back-end meanwhile", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.pass(9900ms);
  bench.probe(kA);
  bench.pass(450ms);  // at 10 s it is looked whether the agent is alive
  CHECK(bench.row(kA)->estimates().loss().share() == 0);
  bench.pass(50ms);
  CHECK(bench.row(kA)->estimates().loss().share() == 1);
}

TEST_CASE("Alarms: an agent that answers never becomes silent", "[alarms]") {
  Bench bench;
  bench.join(kA);
  live(bench, kA, 2min);
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.row(kA)->estimates().loss().share() == 0);
  CHECK(bench.dropped() == 0);
}

TEST_CASE("Alarms: silent, checked, stale or down, and back again", "[alarms]") {
  Bench bench;
  bench.join(kA);
  CHECK(bench.pass(10s).empty());  // the first check finds the answer to the challenge
  CHECK(bench.state(kA) == State::up);
  bench.lose(kA, 6);
  CHECK(bench.pass(6900ms).empty());
  const auto checks = bench.pass(200ms);
  REQUIRE(checks.size() == 1);
  CHECK(checks[0].backend == bench.row(kA)->id);
  CHECK(checks[0].service == at("10.0.0.1:80"));
  CHECK(bench.state(kA) == State::stale);
  CHECK(bench.pass(1s).empty());  // one at a time
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::accepted}, bench.now);
  CHECK(bench.state(kA) == State::stale);
  CHECK(bench.pass(4900ms).empty());
  CHECK(bench.pass(200ms).size() == 1);  // again after a probe interval
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::refused}, bench.now);
  CHECK(bench.state(kA) == State::down);
  came_back(bench);
}

TEST_CASE("Alarms: a static back-end is checked from the start and always", "[alarms]") {
  Bench bench;
  Backend& row = bench.add_static("10.0.0.1:80");
  REQUIRE(bench.pass(50ms).size() == 1);
  CHECK(row.state(bench.now) == State::new_);
  bench.alarms.check_done({row.id, TcpChecks::Outcome::accepted}, bench.now);
  CHECK(row.state(bench.now) == State::up);
  REQUIRE(bench.pass(5s).size() == 1);
  bench.alarms.check_done({row.id, TcpChecks::Outcome::refused}, bench.now);
  CHECK(row.state(bench.now) == State::down);
  REQUIRE(bench.pass(5s).size() == 1);
  bench.alarms.check_done({row.id, TcpChecks::Outcome::accepted}, bench.now);
  CHECK(row.state(bench.now) == State::up);
  bench.alarms.check_done({4711, TcpChecks::Outcome::accepted}, bench.now);  // of a row that is gone
}

TEST_CASE("Alarms: one that does not listen is checked at once", "[alarms]") {
  Bench bench;
  bench.join(kA);
  TestAgent deaf = kA;
  deaf.listening = false;
  bench.probe_and_answer(deaf);
  const auto checks = bench.pass(50ms);
  REQUIRE(checks.size() == 1);
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::refused}, bench.now);
  CHECK(bench.state(kA) == State::down);
  came_back(bench);
}

TEST_CASE("Alarms: an ejected one is checked after a second", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.join(kB);
  for (int i = 0; i < 2; ++i) {
    const auto lease = bench.acquire();
    if (lease->address() == kA.key().address) lease->connect_failed(bench.now);
  }
  bench.row(kA)->connect_failed(bench.now + 1s, true);  // the second time: 2 s
  bench.now += 1s;
  CHECK(bench.state(kA) == State::ejected);
  CHECK(bench.pass(950ms).empty());
  const auto checks = bench.pass(50ms);
  REQUIRE(checks.size() == 1);
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::accepted}, bench.now);
  CHECK(bench.state(kA) == State::up);
}

TEST_CASE("Alarms: after the first, shortest ejection too a connect decides", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.join(kB);
  bench.connect_failed(kA, true);
  const auto checks = bench.pass(1s);
  REQUIRE(checks.size() == 1);  // although the ejection is over by then
  CHECK(bench.state(kA) == State::up);
  bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::refused}, bench.now);
  bench.probe_and_answer(kA);
  CHECK(bench.state(kA) == State::down);
  CHECK(bench.acquire()->address() == kB.key().address);
  CHECK(bench.pass(5s).size() == 1);
}

TEST_CASE("Alarms: nothing is checked in maintenance", "[alarms]") {
  Bench bench;
  Backend& row = bench.add_static("10.0.0.1:80");
  row.admin = AdminState::maint;
  CHECK(bench.pass(30s).empty());
  row.admin = AdminState::ready;
  CHECK(bench.pass(5s).size() == 1);
}

TEST_CASE("Alarms: what this process slept through is void", "[alarms]") {
  Bench bench;
  bench.join(kA);
  live(bench, kA, 30s);
  const auto probe = bench.probe(kA);
  const TimePoint answered = bench.now + 3ms;
  bench.now += 60s;
  CHECK(bench.alarms.tick(bench.now, true).empty());
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.rows() == 1);  // not forgotten either
  SECTION("the answer waited in the socket") {
    bench.membership.handle({kA.answer(probe), kA.peer, {}, 0, answered}, bench.now);
    CHECK(bench.row(kA)->estimates().rtt().sample() == Duration(3ms));
    CHECK(bench.dropped() == 0);
  }
  SECTION("it came when the machine woke") {
    bench.deliver(kA.peer, kA.answer(probe));
    CHECK(bench.dropped(DropReason::late) == 1);
  }
  SECTION("it did not come") {}
  CHECK(bench.pass(5s).empty());
  live(bench, kA, 30s);
  CHECK(bench.row(kA)->estimates().loss().share() == 0);
  CHECK(bench.state(kA) == State::up);
}

TEST_CASE("Alarms: who would be asked soon whether it is alive is owed a whole period after a sleep too", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.pass(11s);  // found alive at 10 s
  bench.now += 5s;
  bench.alarms.tick(bench.now, true);
  bench.pass(14900ms);
  CHECK(bench.state(kA) == State::up);
  bench.pass(200ms);
  CHECK(bench.state(kA) == State::stale);
}

TEST_CASE("Alarms: woken by the answer before the alarm, nothing is lost either", "[alarms]") {
  Bench bench;
  bench.join(kA);
  const auto probe = bench.probe(kA);
  bench.now += 60s;
  bench.deliver(kA.peer, kA.answer(probe));  // arrives late: the machine was suspended
  bench.alarms.tick(bench.now, true);
  bench.pass(1s);
  CHECK(bench.row(kA)->estimates().loss().share() == 0);
}

TEST_CASE("Alarms: after a sleep a dead agent is still found", "[alarms]") {
  Bench bench;
  bench.join(kA);
  bench.now += 60s;
  bench.alarms.tick(bench.now, true);
  bench.pass(26s);
  CHECK(bench.state(kA) == State::stale);
}

TEST_CASE("Alarms: a silent row is forgotten after 3 x the larger interval, never with connections", "[alarms]") {
  Bench bench;
  bench.join(kA);
  SECTION("the alive interval") {
    bench.pass(30s);
    CHECK(bench.rows() == 1);
    bench.pass(50ms);
    CHECK(bench.rows() == 0);
    CHECK(bench.table.access().by_peer(kA.peer) == nullptr);
    CHECK(bench.table.access().next_probe() == TimePoint::max());
  }
  SECTION("the register interval") {
    bench.deliver(kA.peer, kA.hello(30'000));
    bench.pass(90s);
    CHECK(bench.rows() == 1);
    bench.pass(50ms);
    CHECK(bench.rows() == 0);
  }
  SECTION("with a connection") {
    auto lease = bench.acquire();
    const auto checks = bench.pass(2min);
    CHECK(bench.rows() == 1);
    bench.alarms.check_done({checks.at(0).backend, TcpChecks::Outcome::refused}, bench.now);
    CHECK(bench.state(kA) == State::down);
    lease.reset();
    bench.pass(50ms);
    CHECK(bench.rows() == 0);
    bench.alarms.check_done({checks[0].backend, TcpChecks::Outcome::accepted}, bench.now);  // its check ends after it
  }
}

TEST_CASE("Alarms: a check that we had no socket for says nothing of the service", "[alarms]") {
  Bench bench;
  Backend& row = bench.add_static("10.0.0.1:80");
  REQUIRE(bench.pass(50ms).size() == 1);
  bench.alarms.check_done({row.id, TcpChecks::Outcome::not_tried}, bench.now);
  CHECK(row.state(bench.now) == State::new_);
  CHECK(bench.pass(900ms).empty());
  CHECK(bench.pass(100ms).size() == 1);  // and is tried again
}
