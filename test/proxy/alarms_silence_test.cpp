#include <catch2/catch.hpp>
#include <random>

#include "proxy/alarms.hpp"
#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

// How often an agent is asked before it counts as silent.

namespace {

const TestAgent kA("10.0.0.1:5555", 1);

}  // namespace

TEST_CASE("Alarms: a lost probe is followed by another at once, twice at each interval", "[alarms]") {
  Bench bench;
  bench.join(kA);
  Backend& row = *bench.row(kA);
  const auto next = [&bench] { return bench.table.access().next_probe(); };
  const auto lose = [&] {
    bench.table.access().schedule_probe(row, bench.now + 5s);  // as the timer does
    bench.probe(kA);
    bench.pass(500ms);
  };
  for (int interval = 0; interval < 2; ++interval) {
    for (int again = 0; again < 2; ++again) {
      lose();
      CHECK(next() == bench.now);
    }
    lose();
    CHECK(next() == bench.now + 4500ms);
  }
  lose();
  bench.probe_and_answer(kA);
  for (int again = 0; again < 2; ++again) {  // it starts over
    lose();
    CHECK(next() == bench.now);
  }
  row.agent.silent = true;
  lose();
  lose();
  CHECK(next() == bench.now + 4500ms);  // nobody hurries to ask the dead
}

TEST_CASE("Alarms: where a fifth of all probes is lost nobody flaps", "[alarms]") {
  Membership::Options quick;
  quick.timers = {1s, 300ms, 2s};
  Bench bench({}, quick);
  bench.join(kA);
  Backend& row = *bench.row(kA);
  std::mt19937_64 random(7);
  std::bernoulli_distribution lost(.2);
  std::uniform_int_distribution<int> jitter(900, 1100);
  int silences = 0, losses = 0;
  for (const TimePoint end = bench.now + 1h; bench.now < end;) {
    while (bench.table.access().take_due_probe(bench.now) != nullptr) {
      bench.table.access().schedule_probe(row, bench.now + std::chrono::milliseconds(jitter(random)));
      if (lost(random)) {
        bench.probe(kA);
        ++losses;
      } else {
        bench.probe_and_answer(kA);
      }
    }
    const State before = bench.state(kA);
    bench.pass(50ms);
    if (before == State::up && bench.state(kA) != State::up) ++silences;
  }
  CHECK(losses > 500);
  CHECK(silences == 0);
}

TEST_CASE("Alarms: before an agent is called silent it is asked until chance cannot be why", "[alarms]") {
  Bench bench;
  bench.join(kA);
  Backend& row = *bench.row(kA);
  const auto next = [&bench] { return bench.table.access().next_probe(); };
  bench.pass(10s);  // this look finds the answer to the challenge
  SECTION("six in a row are enough") {
    bench.lose(kA, 6);
    CHECK(bench.pass(6950ms).empty());
    CHECK(bench.state(kA) == State::up);
    CHECK(bench.pass(50ms).size() == 1);
    CHECK(bench.state(kA) == State::stale);
  }
  SECTION("after fewer the next follows at once, and the last of them decides") {
    bench.lose(kA, 3);
    bench.pass(8500ms);
    CHECK(next() == bench.now);
    bench.lose(kA, 1);
    CHECK(next() == bench.now);
    bench.lose(kA, 1);
    CHECK(next() == bench.now);
    CHECK(bench.state(kA) == State::up);
    bench.lose(kA, 1);
    CHECK(bench.state(kA) == State::stale);
    CHECK(next() == bench.now + 59500ms);
  }
  SECTION("an answer ends the doubt") {
    bench.lose(kA, 3);
    const double one_outage = row.estimates().view(true, row.signals, bench.now).loss;
    bench.pass(8500ms);
    bench.lose(kA, 1);
    bench.table.access().schedule_probe(row, bench.now + 1min);
    bench.probe_and_answer(kA);
    bench.pass(50ms);
    CHECK(next() > bench.now);
    CHECK(row.estimates().view(true, row.signals, bench.now).loss == one_outage);
    CHECK(bench.pass(9900ms).empty());
    CHECK(bench.state(kA) == State::up);
  }
  SECTION("a probe that is due is not put off") {
    bench.lose(kA, 3);
    bench.pass(8450ms);
    const TimePoint due = bench.now;
    bench.table.access().schedule_probe(row, due);
    bench.pass(100ms);
    CHECK(next() == due);
  }
  SECTION("late answers are signs of life: who gave some is in doubt like any other") {
    for (int i = 0; i < 6; ++i) {
      const auto probe = bench.probe(kA);
      bench.pass(500ms);
      bench.deliver(kA.peer, kA.answer(probe));
    }
    bench.pass(7s);  // this look finds them
    bench.lose(kA, 3);
    CHECK(bench.pass(8550ms).empty());
    CHECK(bench.state(kA) == State::up);
  }
  SECTION("but half a period later it is silent, whatever was asked") {
    CHECK(bench.pass(14950ms).empty());
    CHECK(bench.state(kA) == State::up);
    CHECK(bench.pass(50ms).size() == 1);
    CHECK(bench.state(kA) == State::stale);
  }
}
