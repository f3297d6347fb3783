#include "proxy/pool.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "common/thread.hpp"
#include "proxy/static_pool.hpp"

// What holds for every policy: weights, backups and counting.

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

const std::vector<Policy> kCaring = {Policy::weighted, Policy::least_connections, Policy::round_robin,
                                     Policy::source_hash};

std::uint64_t client(int number) { return static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15; }

}  // namespace

TEST_CASE("Pool: weights share out the connections, whatever the policy", "[pool]") {
  const Policy policy = GENERATE(Policy::weighted, Policy::least_connections, Policy::round_robin, Policy::source_hash);
  CAPTURE(to_string(policy));
  StaticPool t(policy);
  const Backend &heavy = t.add("10.0.0.1:80", 3), &light = t.add("10.0.0.2:80");
  std::vector<Lease> open;
  for (int i = 0; i < 400; ++i) open.push_back(std::move(*t.acquire(client(i))));
  const bool by_chance = policy == Policy::source_hash;
  CHECK(heavy.signals.open() == Approx(300).margin(by_chance ? 35 : 1));  // four standard deviations
  CHECK(heavy.signals.open() + light.signals.open() == 400);
}

TEST_CASE("Pool: report knows no weights", "[pool]") {
  StaticPool t(Policy::report);
  const Backend &heavy = t.add("10.0.0.1:80", 3), &light = t.add("10.0.0.2:80");
  std::vector<Lease> open;
  for (int i = 0; i < 40; ++i) open.push_back(std::move(*t.acquire()));
  CHECK(heavy.signals.open() == 20);
  CHECK(light.signals.open() == 20);
}

TEST_CASE("Pool: a backup gets nothing while another can be chosen, whatever the policy", "[pool]") {
  const Policy policy = GENERATE(from_range(std::begin(kPolicies), std::end(kPolicies)));
  CAPTURE(to_string(policy));
  StaticPool t(policy);
  Backend &one = t.add("10.0.0.1:80"), &two = t.add("10.0.0.2:80");
  const Backend& backup = t.add("10.0.0.9:80", 1000, true);
  std::vector<Lease> open;
  for (int i = 0; i < 100; ++i) open.push_back(std::move(*t.acquire(client(i))));
  CHECK(backup.signals.open() == 0);
  // Tried in vain, in the same attempt of one client.
  CHECK(t.chosen(7, {one.id}) == "10.0.0.2:80");
  CHECK(t.chosen(7, {one.id, two.id}) == "10.0.0.9:80");
  CHECK(t.chosen(7, {one.id, two.id, backup.id}) == "nobody");
  const auto next = t.bench.table.acquire(t.pool(), {{}, t.bench.now, 7});  // without a tick in between
  REQUIRE(next);
  CHECK(next->id() != backup.id);
  // Out of service.
  one.admin = two.admin = AdminState::drain;
  for (int i = 0; i < 10; ++i) CHECK(t.chosen(client(i)) == "10.0.0.9:80");
  one.admin = AdminState::ready;
  for (int i = 0; i < 10; ++i) CHECK(t.chosen(client(i)) == "10.0.0.1:80");
}

// The next four hold for every policy but `report`, which has no such care.

TEST_CASE("Pool: who failed a moment ago is left out, and tried again when nobody else is left", "[pool]") {
  const Policy policy = GENERATE(from_range(kCaring));
  CAPTURE(to_string(policy));
  StaticPool t(policy);
  Backend &one = t.add("10.0.0.1:80"), &two = t.add("10.0.0.2:80");
  one.connect_failed(t.bench.now, true);
  for (int i = 0; i < 20; ++i) CHECK(t.chosen(client(i)) == "10.0.0.2:80");
  CHECK(t.chosen(client(7), {two.id}) == "10.0.0.1:80");
  t.bench.now += 1s;
  std::map<std::string, int> chosen;
  for (int i = 0; i < 40; ++i) ++chosen[t.chosen(client(i))];
  CHECK(chosen["10.0.0.1:80"] > 0);  // back by itself
}

TEST_CASE("Pool: who only lost its agent keeps its traffic", "[pool]") {
  const Policy policy = GENERATE(from_range(kCaring));
  CAPTURE(to_string(policy));
  Bench bench(StaticPool::options(policy));
  const TestAgent a("10.0.0.1:5555", 1), b("10.0.0.2:5555", 2);
  bench.join(a);
  bench.join(b);
  for (int i = 0; i < 2; ++i) bench.row(a)->check_alive();
  REQUIRE(bench.state(a) == State::stale);
  bench.table.tick(bench.now);
  std::map<Address, int> chosen;
  std::vector<Lease> open;
  for (int i = 0; i < 40; ++i) {
    open.push_back(std::move(*bench.table.acquire(bench.table.name_pool("default"), {{}, bench.now, client(i)})));
    ++chosen[open.back().address()];
  }
  CHECK(chosen[a.key().address] >= 10);
  CHECK(chosen[b.key().address] >= 10);
}

TEST_CASE("Pool: when all of them look dead somebody is tried", "[pool]") {
  const Policy policy = GENERATE(from_range(kCaring));
  const bool required = GENERATE(false, true);
  CAPTURE(to_string(policy), required);
  BackendTable::Options options = StaticPool::options(policy);
  options.require_agent = required;
  Bench bench(options);
  const TestAgent a("10.0.0.1:5555", 1), b("10.0.0.2:5555", 2);
  for (const TestAgent* agent : {&a, &b}) {
    bench.join(*agent);
    for (int i = 0; i < 2; ++i) bench.row(*agent)->check_alive();
    if (!required) bench.row(*agent)->take_check(false, bench.now, bench.timers);
    REQUIRE(bench.state(*agent) == State::down);
  }
  const auto first = bench.acquire();
  REQUIRE(first);
  const auto second = bench.acquire({first->id()});
  REQUIRE(second);
  CHECK_FALSE(bench.acquire({first->id(), second->id()}));
  CHECK_FALSE(bench.table.ready(bench.now));
}

TEST_CASE("Pool: who joins or recovers starts slowly", "[pool]") {
  const Policy policy = GENERATE(from_range(kCaring));
  const bool recovers = GENERATE(false, true);
  CAPTURE(to_string(policy), recovers);
  StaticPool t(policy);
  for (const char* address : {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}) t.add(address);
  Backend* late = recovers ? &t.add("10.0.0.4:80") : nullptr;
  t.bench.table.tick(t.bench.now);
  t.bench.now += 20s;  // the others are there for longer than a slow start
  t.bench.table.tick(t.bench.now);
  if (recovers) {
    late->take_check(false, t.bench.now, t.bench.timers);
    t.bench.table.tick(t.bench.now);
    late->take_check(true, t.bench.now, t.bench.timers);
  } else {
    late = &t.add("10.0.0.4:80");
  }
  const auto share_now = [&] {
    std::vector<Lease> open;
    for (int i = 0; i < 400; ++i) open.push_back(std::move(*t.acquire(client(i))));
    return static_cast<double>(std::count_if(open.begin(), open.end(), [&](const Lease& lease) {
      return lease.id() == late->id;
    })) / 400;
  };
  CHECK(share_now() < .1);  // a tenth of a share at first
  t.bench.now += 15s;
  CHECK(share_now() == Approx(.25).margin(.07));
}

TEST_CASE("Pool: choosing and counting is one step, however many choose at once", "[pool]") {
  const Policy policy = GENERATE(Policy::weighted, Policy::least_connections, Policy::round_robin);
  CAPTURE(to_string(policy));
  constexpr int kThreads = 4, kEach = 500, kBackends = 8;
  StaticPool t(policy);
  std::vector<Backend*> backends;
  for (int i = 0; i < kBackends; ++i) backends.push_back(&t.add(("10.0.0." + std::to_string(i + 1) + ":80").c_str()));
  t.bench.table.tick(t.bench.now);
  Pool& pool = t.pool();
  std::vector<std::vector<Lease>> held(kThreads);
  std::atomic<int> ready{0};
  {
    std::vector<Thread> threads;
    for (auto& mine : held)
      threads.emplace_back("chooser", [&] {
        ++ready;
        while (ready < kThreads) continue;  // all at once
        for (int i = 0; i < kEach; ++i) mine.push_back(*t.bench.table.acquire(pool, {{}, kStart, 0}));
      });
  }
  // Had two of them ever seen the same counts, one back-end would have one more than another at the end.
  for (const Backend* backend : backends) CHECK(backend->signals.open() == kThreads * kEach / kBackends);
}

TEST_CASE("Pool: a choice sees at once what opened and closed since the last, without a tick", "[pool]") {
  const Policy policy = GENERATE(Policy::weighted, Policy::least_connections);
  CAPTURE(to_string(policy));
  StaticPool t(policy);
  for (const char* address : {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}) t.add(address);
  t.bench.table.tick(t.bench.now);
  const auto acquire = [&t] { return t.bench.table.acquire(t.pool(), {{}, t.bench.now, 0}); };
  std::vector<std::optional<Lease>> open;
  for (int i = 0; i < 9; ++i) open.push_back(acquire());
  const Address freed = open[4]->address();
  open[4].reset();
  CHECK(acquire()->address() == freed);
  if (policy == Policy::weighted) {
    for (auto& lease : open)
      if (lease && lease->address() == freed) lease->meter().server_spoke(t.bench.now);  // nothing is owed there now
    for (int i = 0; i < 2; ++i) open.push_back(acquire());
    CHECK(open.back()->address() == freed);
  }
}

TEST_CASE("Pool: report orders the saturated by their sums, behind all others", "[pool]") {
  Bench bench(StaticPool::options(Policy::report));
  TestAgent hot("10.0.0.1:5555", 1), hotter("10.0.0.2:5555", 2), cool("10.0.0.3:5555", 3);
  hot.load = {7700, 1000, 0, 0};
  hotter.load = {7700, 2000, 0, 0};
  cool.load = {7699, 7600, 200, 0};
  bench.join(hotter);
  bench.join(hot);
  for (int i = 0; i < 3; ++i) CHECK(bench.acquire()->address() == hot.key().address);
  CHECK(bench.acquire()->score == Approx(100));
  bench.join(cool);
  for (int i = 0; i < 3; ++i) CHECK(bench.acquire()->address() == cool.key().address);
}
