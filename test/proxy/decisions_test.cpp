#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "proxy/decision.hpp"
#include "proxy/static_pool.hpp"

// The record of choices: who was chosen, who was not, and why.

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

TEST_CASE("Pool: a decision is kept with all that went into it", "[pool]") {
  Bench bench;
  TestAgent a("10.0.0.1:5555", 1), b("10.0.0.2:5555", 2);
  a.load = {2000, 1000, 90, 40};
  b.load = {1000, 3000, 70, 0};
  bench.join(a);
  bench.join(b);
  bench.probe_and_answer(b, 10ms);
  const auto first = bench.acquire();
  REQUIRE(first->address() == b.key().address);
  bench.now += 1s;
  const auto second = bench.acquire();
  const std::vector<Decision> kept = bench.table.decisions();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].number == 2);  // the newest first
  CHECK(kept[1].number == 1);
  CHECK(kept[0].at == bench.now);
  CHECK(kept[0].pool == "default");
  CHECK(kept[0].policy == Policy::weighted);
  CHECK(kept[0].chosen == second->address());
  CHECK(kept[0].candidates == 2);
  for (const Decision& decision : kept) {
    REQUIRE(decision.considered.size() == 2);
    CHECK(decision.considered[0].address == decision.chosen);
    for (const Explained& one : decision.considered) CHECK(one.components.sum() == Approx(one.score));
  }
  const Explained &won = kept[1].considered[0], &lost = kept[1].considered[1];
  CHECK(won.score == first->score);
  CHECK(lost.score == first->runner_up);
  CHECK(won.rtt_ms == Approx(10));
  CHECK(won.components.rtt == Approx(.15));
  CHECK(won.components.cpu == Approx(.05));
  CHECK(won.components.memory == Approx(.15));
  CHECK(won.components.tcp == Approx(0).margin(1e-9));
  CHECK(lost.components.tcp == Approx(1.2));
  CHECK(lost.tcp == 40);
  CHECK(lost.cpu == 20);
  CHECK(lost.memory == 10);
  CHECK(won.open == 0);  // as it was before the choice
  const Explained& again = kept[0].considered[0];
  CHECK(again.address == won.address);
  CHECK(again.open == 1);
  CHECK(again.busy == 1);
  CHECK(again.components.tcp == Approx(.03));
}

TEST_CASE("Pool: whoever was not chosen is shown with what kept it out", "[pool]") {
  StaticPool t(Policy::least_connections);
  Backend& failed = t.add("10.0.0.1:80");
  Backend& chosen = t.add("10.0.0.2:80");
  Backend& worse = t.add("10.0.0.3:80", .1);
  Backend& full = t.add("10.0.0.4:80");
  t.add("10.0.0.5:80", 1, true);
  Backend& drained = t.add("10.0.0.6:80");
  Backend& refusing = t.add("10.0.0.7:80");
  Backend& ejected = t.add("10.0.0.8:80");
  t.bench.add_static("10.0.0.9:80");  // nobody has asked it yet
  full.max_connections = 1;
  full.weight = 50;
  const auto taken = t.acquire();
  REQUIRE(taken->address() == full.key.address);
  drained.admin = AdminState::drain;
  refusing.take_check(false, t.bench.now, t.bench.timers);
  ejected.connect_failed(t.bench.now, true);
  REQUIRE(t.chosen(0, {failed.id}) == chosen.name());

  const Decision last = t.decisions()[0];
  CHECK(last.reason == Reason::retry);
  CHECK(last.candidates == 2);
  std::map<std::string, std::string> verdicts;
  for (const Explained& one : last.considered) verdicts[one.address.text()] = to_string(one.verdict);
  CHECK(verdicts == std::map<std::string, std::string>{{"10.0.0.1:80", "tried_before"},
                                                       {"10.0.0.2:80", "chosen"},
                                                       {"10.0.0.3:80", "passed_over"},
                                                       {"10.0.0.4:80", "full"},
                                                       {"10.0.0.5:80", "backup"},
                                                       {"10.0.0.6:80", "drain"},
                                                       {"10.0.0.7:80", "down"},
                                                       {"10.0.0.8:80", "ejected"},
                                                       {"10.0.0.9:80", "new"}});
  REQUIRE(last.considered.size() == 9);
  CHECK(last.considered[0].address == chosen.key.address);
  CHECK(last.considered[1].address == worse.key.address);  // those left out come last, with the score they would have
  for (const Explained& one : last.considered) CHECK(one.score > 0);
  for (std::size_t i = 0; i < kVerdicts; ++i)
    CHECK(last.verdicts[i] == (static_cast<Verdict>(i) == Verdict::stale || static_cast<Verdict>(i) == Verdict::maint ? 0 : 1));
}

TEST_CASE("Pool: that nobody could be chosen is kept and counted, with what kept out each", "[pool]") {
  StaticPool t(Policy::weighted);
  CHECK(t.chosen() == "nobody");
  CHECK(t.decisions()[0].considered.empty());
  Backend& only = t.add("10.0.0.1:80");
  CHECK(t.chosen(0, {only.id}) == "nobody");
  only.admin = AdminState::maint;
  CHECK(t.chosen() == "nobody");
  const std::vector<Decision> kept = t.decisions();
  REQUIRE(kept.size() == 3);
  for (const Decision& decision : kept) {
    CHECK(decision.reason == Reason::nobody);
    CHECK(decision.chosen == Address());
    CHECK(decision.candidates == 0);
  }
  CHECK(kept[0].considered.at(0).verdict == Verdict::maint);
  CHECK(kept[1].considered.at(0).verdict == Verdict::tried_before);
  CHECK(t.pool().choices()[static_cast<std::size_t>(Reason::nobody)] == 3);
}

TEST_CASE("Pool: a candidate shows how old its figures are, and whether it starts slowly", "[pool]") {
  Bench bench;
  TestAgent a("10.0.0.1:5555", 1), b("10.0.0.2:5555", 2);
  bench.join(a);
  bench.probe_and_answer(a, 10ms);
  bench.now += 60s;  // the pool has settled: who comes now starts slowly
  bench.probe_and_answer(a, 10ms);
  bench.join(b);
  bench.now += 1500ms;
  Backend& mute = bench.add_static("10.0.0.3:80");
  mute.take_check(true, bench.now, bench.timers);
  bench.table.tick(bench.now);
  REQUIRE(bench.acquire());
  const Decision last = bench.table.decisions()[0];
  REQUIRE(last.considered.size() == 3);
  for (const Explained& one : last.considered) {
    CHECK((one.ramp == 1) == (one.address == a.key().address));
    CHECK(one.report_age.has_value() == (one.address != mute.key.address));
    if (one.report_age) CHECK((*one.report_age >= 1400ms && *one.report_age <= 1500ms));
  }
}

TEST_CASE("Pool: where only connections count, they are the whole score", "[pool]") {
  StaticPool t(Policy::least_connections);
  t.add("10.0.0.1:80", 2);
  std::vector<Lease> open;
  for (int i = 0; i < 3; ++i) open.push_back(std::move(*t.acquire()));
  const Explained last = t.decisions()[0].considered[0];
  CHECK(last.score == 1.5);  // (2 + 1) / 2
  CHECK(last.components.tcp == 1.5);
  CHECK(last.components.sum() == 1.5);
}

TEST_CASE("Pool: a client's own back-end that is full, or out, is not said to be its own", "[pool]") {
  StaticPool t(Policy::source_hash);
  std::vector<Backend*> all;
  for (const char* address : {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}) all.push_back(&t.add(address));
  t.add("10.0.0.8:80", 1, true);  // nobody's own, while it is in reserve
  t.add("10.0.0.9:80", 1, true);
  const auto reason_for = [&](std::uint64_t client) {
    CHECK(t.acquire(client));
    return t.decisions()[0].reason;
  };
  for (std::uint64_t client = 1; client <= 20; ++client) CHECK(reason_for(client * 0x9e3779b97f4a7c15) == Reason::source);

  const std::uint64_t client = 7;
  const auto held = t.acquire(client);
  Backend& own = **std::find_if(all.begin(), all.end(), [&](Backend* each) { return each->id == held->id(); });
  own.max_connections = 1;
  CHECK(reason_for(client) == Reason::source_moved);
  own.max_connections = 0;
  CHECK(reason_for(client) == Reason::source_moved);  // two of two would be more than 1.25 times its share
  own.admin = AdminState::drain;
  CHECK(reason_for(client) == Reason::source_moved);
  own.admin = AdminState::ready;
  own.connect_failed(t.bench.now, true);
  CHECK(reason_for(client) == Reason::source_moved);
  CHECK(t.pool().choices()[static_cast<std::size_t>(Reason::source_moved)] == 4);
}

TEST_CASE("Pool: the decision that tells why a client was refused outlives a thousand usual ones", "[pool]") {
  StaticPool t(Policy::round_robin);
  Backend &one = t.add("10.0.0.1:80"), &spare = t.add("10.0.0.2:80", 1, true);
  const auto all_but = [&](Reason reason) {
    const std::vector<Decision> kept = t.decisions();
    return std::count_if(kept.begin(), kept.end(), [&](const Decision& each) { return each.reason != reason; });
  };
  one.admin = spare.admin = AdminState::drain;
  CHECK(t.chosen() == "nobody");
  one.admin = AdminState::ready;
  CHECK(t.chosen(0, {999}) == one.name());  // another, which is gone since, had failed this client
  for (int second = 0; second < 60; ++second, t.bench.now += 1s)
    for (int i = 0; i < 100; ++i) t.chosen();
  std::vector<Decision> kept = t.decisions();
  REQUIRE(kept.size() == 64 + 2);
  CHECK(kept[64].reason == Reason::retry);
  CHECK(kept[65].reason == Reason::nobody);
  CHECK(kept[65].number == 1);
  CHECK(all_but(Reason::turn) == 2);

  one.admin = AdminState::maint;  // and ten thousand of one rare kind leave the others alone
  spare.admin = AdminState::ready;
  for (int second = 0; second < 100; ++second, t.bench.now += 1s)
    for (int i = 0; i < 100; ++i) t.chosen();
  kept = t.decisions();
  CHECK(kept.size() == 64 + 2 + 16);
  CHECK(kept.front().reason == Reason::backup);
  CHECK(kept.back().number == 1);
  CHECK(std::is_sorted(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.number > b.number; }));
}

TEST_CASE("Pool: of few decisions all are kept, of many ten a second, the last 64", "[pool]") {
  StaticPool t(Policy::round_robin);
  t.add("10.0.0.1:80");
  for (int i = 0; i < 1000; ++i) t.chosen();
  std::vector<Decision> kept = t.decisions();
  REQUIRE(kept.size() == 64);
  CHECK(kept.front().number == 64);
  t.bench.now += 1s;
  for (int i = 0; i < 1000; ++i) t.chosen();
  kept = t.decisions();
  REQUIRE(kept.size() == 64);
  CHECK(kept.front().number == 1010);
  CHECK(kept[9].number == 1001);
  CHECK(kept[10].number == 64);  // the gap shows what was not kept
  CHECK(kept.back().number == 11);
}

TEST_CASE("Pool: of many candidates the best 16 are shown, the chosen one first", "[pool]") {
  StaticPool t(Policy::least_connections);
  std::vector<Lease> open;
  for (int i = 1; i <= 40; ++i) {
    t.add(("10.0.0." + std::to_string(i) + ":80").c_str());
    open.push_back(std::move(*t.acquire()));
  }
  for (int i = 0; i < 20; ++i) open.push_back(std::move(*t.acquire()));
  const Decision last = t.decisions()[0];
  CHECK(last.candidates == 40);
  REQUIRE(last.considered.size() == 16);
  CHECK(last.considered[0].address == last.chosen);
  for (const Explained& one : last.considered) CHECK(one.open == 1);  // nineteen had two
}
