#include "proxy/backend_table.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <array>
#include <atomic>
#include <map>
#include <vector>

#include "common/thread.hpp"
#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using Change = ProxyView::Change;

namespace {

const TestAgent kA("10.0.0.1:5555", 1), kB("10.0.0.2:5555", 2), kC("10.0.0.3:5555", 3), kD("10.0.0.4:5555", 4);

TestAgent with_load(TestAgent agent, std::uint16_t cpu, std::uint32_t tcp) {
  agent.load = {cpu, 1000, tcp, tcp};
  return agent;
}

BackendTable::Options with(Policy policy) {
  BackendTable::Options options;
  options.policy = policy;
  return options;
}

std::optional<Lease> acquire(Bench& bench, const std::vector<std::uint64_t>& tried = {},
                             std::vector<Explained>* explained = nullptr) {
  return bench.acquire(tried, explained);
}

void make_silent(Bench& bench, const TestAgent& agent) {
  bench.row(agent)->check_alive();
  bench.row(agent)->check_alive();
  REQUIRE(bench.row(agent)->agent.silent);
}

}  // namespace

TEST_CASE("BackendTable: nobody to choose from", "[backend_table]") {
  Bench bench;
  CHECK_FALSE(acquire(bench));
  CHECK_FALSE(bench.table.ready(bench.now));
  CHECK(bench.table.status(bench.now).empty());
}

TEST_CASE("BackendTable: a lease counts from the choice until it goes, moved or not", "[backend_table]") {
  Bench bench;
  bench.join(kA);
  Backend& row = *bench.row(kA);
  {
    auto lease = acquire(bench);
    REQUIRE(lease);
    CHECK(lease->address() == at("10.0.0.1:80"));
    CHECK(lease->id() == row.id);
    CHECK(row.signals.open() == 1);
    Lease moved = std::move(*lease);
    CHECK(row.signals.open() == 1);
    lease.reset();
    CHECK(row.signals.open() == 1);
    auto other = acquire(bench);
    CHECK(row.signals.open() == 2);
    other.reset();
    CHECK(row.signals.open() == 1);
  }
  CHECK(row.signals.open() == 0);
  CHECK(bench.table.status(bench.now)[0].connections_total == 2);
}

TEST_CASE("BackendTable: those that were tried are left out, to the last", "[backend_table]") {
  Bench bench;
  for (const TestAgent* agent : {&kA, &kB, &kC}) bench.join(*agent);
  std::vector<std::uint64_t> tried;
  for (int i = 0; i < 3; ++i) {
    const auto lease = acquire(bench, tried);
    REQUIRE(lease);
    CHECK(std::find(tried.begin(), tried.end(), lease->id()) == tried.end());
    tried.push_back(lease->id());
  }
  CHECK_FALSE(acquire(bench, tried));
}

TEST_CASE("BackendTable: the choice is explained", "[backend_table]") {
  Bench bench;
  bench.join(with_load(kA, 1000, 10));
  bench.join(with_load(kB, 1000, 20));
  std::vector<Explained> candidates;
  const auto lease = acquire(bench, {}, &candidates);
  REQUIRE(lease);
  CHECK(lease->score == Approx(.3 + .05 + .05));
  CHECK(lease->runner_up == Approx(.6 + .05 + .05));
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0].address == kA.key().address);
  CHECK(candidates[0].components.tcp == Approx(.3));
  CHECK(candidates[0].components.cpu == Approx(.05));
  CHECK(candidates[0].components.sum() == Approx(lease->score));
  CHECK(candidates[0].open == 0);
  CHECK(candidates[1].tcp == 20);
  CHECK(candidates[1].cpu == 10);
}

TEST_CASE("BackendTable: when all look dead they are tried, but never against orders", "[backend_table]") {
  Bench bench;
  bench.join(kA);
  bench.join(kB);
  for (const TestAgent* agent : {&kA, &kB}) {
    make_silent(bench, *agent);
    bench.row(*agent)->take_check(false, bench.now, bench.timers);
    REQUIRE(bench.state(*agent) == State::down);
  }
  CHECK_FALSE(bench.table.ready(bench.now));
  CHECK(acquire(bench));
  REQUIRE(bench.table.set_state(kA.name(), AdminState::drain, bench.now) == Change::done);
  bench.row(kB)->agent.draining = true;
  CHECK_FALSE(acquire(bench));
}

TEST_CASE("BackendTable: a back-end in a pool that no listener serves makes nobody ready", "[backend_table]") {
  Bench bench;
  TestAgent stray("10.0.0.7:5555", 7);
  stray.service.pool = monitoring::pool_id("wbe");
  bench.join(stray);
  REQUIRE(bench.state(stray) == State::up);
  CHECK_FALSE(bench.table.ready(bench.now));
  CHECK(bench.table.status(bench.now)[0].pool == "#" + fmt::format("{:08x}", stray.service.pool));
  CHECK_FALSE(bench.table.status(bench.now)[0].pool_served);

  BackendTable::Options options;
  options.served = {"api", "wbe"};  // the listeners' pools are others now
  bench.table.name_pool("wbe");
  bench.table.change_rules(options, bench.now);
  CHECK(bench.table.ready(bench.now));
  CHECK(bench.table.status(bench.now)[0].pool == "wbe");
  CHECK(bench.table.status(bench.now)[0].pool_served);
  options.served = {"api"};
  bench.table.change_rules(options, bench.now);
  CHECK_FALSE(bench.table.ready(bench.now));
}

TEST_CASE("BackendTable: report leaves the silent out and has no last resort", "[backend_table]") {
  Bench bench(with(Policy::report));
  bench.join(kA);
  bench.join(kB);
  make_silent(bench, kA);
  for (int i = 0; i < 10; ++i) CHECK(acquire(bench)->address() == kB.key().address);
  make_silent(bench, kB);
  CHECK_FALSE(acquire(bench));
  CHECK_FALSE(bench.table.ready(bench.now));
}

TEST_CASE("BackendTable: a silent one keeps its traffic at a neutral score", "[backend_table]") {
  Bench bench;
  bench.join(with_load(kA, 1000, 1));
  bench.join(with_load(kB, 1000, 100));
  bench.join(with_load(kC, 1000, 0));  // the best there was, but that is old news
  make_silent(bench, kC);
  std::vector<Explained> candidates;
  const auto lease = acquire(bench, {}, &candidates);
  REQUIRE(candidates.size() == 3);  // the best first
  CHECK(candidates[0].address == kA.key().address);
  CHECK(candidates[1].address == kC.key().address);
  CHECK(candidates[2].address == kB.key().address);
  CHECK(candidates[1].score == Approx((candidates[0].score + candidates[2].score) / 2));
}

TEST_CASE("BackendTable: when most are silent, only our own connections count", "[backend_table]") {
  Bench bench;
  bench.join(with_load(kA, 9000, 50));
  bench.join(with_load(kB, 1000, 0));
  bench.join(with_load(kC, 1000, 0));
  for (const TestAgent* agent : {&kB, &kC}) make_silent(bench, *agent);
  std::vector<Lease> open;
  std::map<Address, int> chosen;
  for (int i = 0; i < 30; ++i) {
    auto lease = acquire(bench);
    ++chosen[lease->address()];
    open.push_back(std::move(*lease));
  }
  for (const TestAgent* agent : {&kA, &kB, &kC}) CHECK(chosen[agent->key().address] == 10);
}

TEST_CASE("BackendTable: without any report all are equal", "[backend_table]") {
  Bench bench;
  for (const char* address : {"10.0.0.1:80", "10.0.0.2:80"})
    bench.add_static(address).take_check(true, bench.now, bench.timers);
  const Address first = acquire(bench)->address();
  CHECK(acquire(bench)->address() != first);
  CHECK(acquire(bench)->address() == first);
}

TEST_CASE("BackendTable: at most half of a pool is ejected", "[backend_table]") {
  Bench bench;
  const std::vector<const TestAgent*> agents = {&kA, &kB, &kC, &kD};
  for (std::size_t joined = 1; joined <= agents.size(); ++joined) {
    bench.join(*agents[joined - 1]);
    std::vector<std::uint64_t> tried;
    while (const auto lease = acquire(bench, tried)) {
      lease->connect_failed(bench.now);
      tried.push_back(lease->id());
      if (tried.size() == joined) break;
    }
    const auto rows = bench.table.status(bench.now);
    CHECK(static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const BackendStatus& row) {
      return row.state == State::ejected;
    })) == joined / 2);
    CHECK(acquire(bench));
    bench.now += 1min;
  }
}

TEST_CASE("BackendTable: pools are apart, each with its policy", "[backend_table]") {
  BackendTable::Options options;
  options.pool_policies["web"] = Policy::report;
  Bench bench(options);
  bench.table.name_pool("web");
  TestAgent web = kB, nameless = kC;
  web.service.pool = monitoring::pool_id("web");
  nameless.service.pool = 0x1234;
  for (const TestAgent* agent : std::array<const TestAgent*, 3>{&kA, &web, &nameless}) bench.join(*agent);
  CHECK(acquire(bench)->address() == kA.key().address);
  Pool& web_pool = bench.table.name_pool("web");
  CHECK(bench.acquire_from(web_pool)->address() == web.key().address);
  make_silent(bench, web);
  CHECK_FALSE(bench.acquire_from(web_pool));
  const auto rows = bench.table.status(bench.now);  // by pool, then address
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].pool == "#00001234");
  CHECK(rows[1].pool == "default");
  CHECK(rows[2].pool == "web");
  // A pool that only its agents spoke of goes with the last of them.
  bench.remove(nameless);
  CHECK(bench.table.status(bench.now).size() == 2);
}

TEST_CASE("BackendTable: the operator's orders", "[backend_table]") {
  Bench bench;
  TestAgent twin = kA;
  twin.peer = at("10.0.0.1:5556");
  twin.service.pool = monitoring::pool_id("web");
  bench.table.name_pool("web");
  bench.join(kA);
  CHECK(bench.table.set_state("10.0.0.1:81", AdminState::maint, bench.now) == Change::unknown_backend);
  CHECK(bench.table.set_state("10.0.0.1:80", AdminState::maint, bench.now) == Change::done);
  CHECK(bench.state(kA) == State::maint);
  CHECK_FALSE(acquire(bench));
  bench.join(twin);
  CHECK(bench.table.set_state("10.0.0.1:80", AdminState::ready, bench.now) == Change::ambiguous);
  CHECK(bench.table.set_state("10.0.0.1:80/web", AdminState::drain, bench.now) == Change::done);
  CHECK(bench.state(twin) == State::drain);
  CHECK(bench.table.set_state("10.0.0.1:80/default", AdminState::ready, bench.now) == Change::done);
  CHECK(bench.state(kA) == State::up);
  CHECK(acquire(bench));
}

TEST_CASE("BackendTable: the schedule of probes is kept in order", "[backend_table]") {
  Bench bench;
  for (const TestAgent* agent : {&kA, &kB, &kC}) bench.join(*agent);
  const auto rows = bench.table.access();
  const auto row = [&](const TestAgent& agent) -> Backend& { return *rows.by_key(agent.key()); };
  rows.schedule_probe(row(kA), kStart + 3s);
  rows.schedule_probe(row(kB), kStart + 1s);
  rows.schedule_probe(row(kC), kStart + 2s);
  rows.schedule_probe(row(kB), kStart + 4s);  // later than it was
  CHECK(rows.next_probe() == kStart + 2s);
  CHECK(rows.take_due_probe(kStart + 1999ms) == nullptr);
  CHECK(rows.take_due_probe(kStart + 3s) == &row(kC));
  CHECK(rows.take_due_probe(kStart + 3s) == &row(kA));
  CHECK(rows.take_due_probe(kStart + 3s) == nullptr);
  rows.remove(row(kB));
  CHECK(rows.next_probe() == TimePoint::max());
}

TEST_CASE("BackendTable: many threads choose, release, look and write at once", "[backend_table]") {
  constexpr int kThreads = 8, kEach = 300;
  const Policy policy = GENERATE(Policy::weighted, Policy::least_connections, Policy::round_robin, Policy::source_hash);
  Bench bench(with(policy));
  Pool& pool = bench.table.name_pool(std::string(monitoring::kDefaultPool));
  const std::vector<TestAgent> agents = {kA, kB, kC, kD};
  for (const TestAgent& agent : agents) bench.join(agent);
  std::atomic<int> chosen{0};
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("table", [&, t] {
        for (int i = 0; i < kEach; ++i) {
          std::vector<Explained> candidates;
          auto lease = bench.table.acquire(pool, {{}, kStart, 0, i % 8 == 0 ? &candidates : nullptr});
          if (lease && i % 3 == 0) lease->meter().server_spoke(kStart);
          if (lease && i % 5 == 0) lease->meter().client_spoke(kStart);
          if (lease && i % 50 == 7) lease->connect_failed(kStart);
          if (lease && i % 50 == 8) lease->closed_early(kStart);
          if (lease) ++chosen;
          if (t % 4 == 0) (void)bench.table.status(kStart);
          if (t % 4 == 3) bench.table.tick(kStart + std::chrono::milliseconds(i));
          if (t % 4 == 3) (void)bench.table.decisions();
          if (t % 4 == 1) bench.table.set_state(kD.name(), i % 2 == 0 ? AdminState::drain : AdminState::ready, bench.now);
          if (t % 4 == 2) {
            const auto rows = bench.table.access();
            Backend& row = *rows.by_key(kC.key());
            rows.schedule_probe(row, kStart + std::chrono::milliseconds(i));
            row.make_probe(1, kStart, 500ms);
            rows.refresh(row, kStart);
          }
          (void)bench.table.ready(kStart);
        }
      });
    }
  }
  CHECK(chosen == kThreads * kEach);
  std::uint64_t total = 0;
  for (const BackendStatus& row : bench.table.status(kStart)) {
    CHECK(row.connections_active == 0);
    CHECK(bench.table.access().by_key({row.address, default_pool()})->signals.connections().owed == 0);
    total += row.connections_total;
  }
  CHECK(total == kThreads * kEach);
}
