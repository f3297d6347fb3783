#include "proxy/configured_backends.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "proxy/causes.hpp"
#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

Config::StaticBackend backend(const char* address) {
  Config::StaticBackend result;
  result.address = at(address);
  return result;
}

/// A table that is configured again and again.
struct Configured : Bench {
  BackendChanges configure(const std::vector<Config::StaticBackend>& wanted, std::uint32_t max_connections = 0) {
    return configure_backends(table, wanted, max_connections, now);
  }
  /// Finds it accepting.
  Backend& accepts(const char* address) {
    const BackendTable::Access rows(table);
    Backend* row = rows.by_key({at(address), default_pool()});
    REQUIRE(row != nullptr);
    row->take_check(true, now, timers);
    rows.refresh(*row, now);
    return *row;
  }
};

}  // namespace

TEST_CASE("configured back-ends: who is new is checked at once, who stays keeps what is known of it", "[reload]") {
  Configured bench;
  BackendChanges changes = bench.configure({backend("10.0.0.1:80")});
  CHECK(changes.added == 1);
  REQUIRE(bench.alarms.tick(bench.now, false).size() == 1);
  const Backend& first = bench.accepts("10.0.0.1:80");
  changes = bench.configure({backend("10.0.0.1:80"), backend("10.0.0.2:80")});
  CHECK((changes.added == 1 && changes.removed == 0 && changes.changed == 0));
  CHECK(first.state(bench.now) == State::up);
  const auto checks = bench.alarms.tick(bench.now, false);
  REQUIRE(checks.size() == 1);
  CHECK(checks[0].service == at("10.0.0.2:80"));
}

TEST_CASE("configured back-ends: what is different of one is taken over", "[reload]") {
  Configured bench;
  Config::StaticBackend one = backend("10.0.0.1:80");
  bench.configure({one});
  const Backend& row = bench.accepts("10.0.0.1:80");
  CHECK(bench.configure({one}).changed == 0);
  one.weight = 3;
  one.backup = true;
  one.max_connections = 7;
  CHECK(bench.configure({one}).changed == 1);
  CHECK((row.weight == 3 && row.backup && row.max_connections == 7));
  one.max_connections.reset();
  CHECK(bench.configure({one}, 9).changed == 1);
  CHECK(row.max_connections == 9);
}

TEST_CASE("configured back-ends: who is dropped gets no more connections and goes with the last one", "[reload]") {
  Configured bench;
  bench.configure({backend("10.0.0.1:80"), backend("10.0.0.2:80")});
  const Backend& leaving = bench.accepts("10.0.0.1:80");
  bench.accepts("10.0.0.2:80");
  std::vector<Lease> leases;
  while (leaving.signals.open() == 0) leases.push_back(std::move(*bench.acquire()));
  CHECK(bench.configure({backend("10.0.0.2:80")}).removed == 1);
  CHECK(leaving.state(bench.now) == State::drain);
  CHECK(cause_of(leaving.status(bench.now)) == std::string("taken out of the configuration"));
  for (int i = 0; i < 5; ++i) CHECK(bench.acquire()->address() == at("10.0.0.2:80"));
  CHECK(bench.alarms.tick(bench.now + 1h, false).size() == 1);  // of the other
  CHECK(bench.table.status(bench.now).size() == 2);
  leases.clear();
  bench.alarms.tick(bench.now + 1h, false);
  REQUIRE(bench.table.status(bench.now).size() == 1);
  CHECK(bench.table.status(bench.now)[0].address == at("10.0.0.2:80"));
  CHECK(bench.configure({}).removed == 1);  // without connections at once
  CHECK(bench.table.status(bench.now).empty());
}

TEST_CASE("configured back-ends: one that comes back while its old connections live is a new one", "[reload]") {
  Configured bench;
  bench.configure({backend("10.0.0.1:80")});
  bench.accepts("10.0.0.1:80");
  auto old = bench.acquire();
  REQUIRE(old);
  bench.configure({});
  CHECK(bench.configure({backend("10.0.0.1:80")}).added == 1);
  bench.accepts("10.0.0.1:80");
  CHECK(bench.acquire()->id() != old->id());
  old.reset();
  bench.alarms.tick(bench.now, false);
  CHECK(bench.table.status(bench.now).size() == 1);
  CHECK(bench.acquire().has_value());
}

TEST_CASE("configured back-ends: the operator's word goes before an agent's, and an agent may follow it", "[reload]") {
  Configured bench;
  const TestAgent agent("10.0.0.1:5555");
  bench.join(agent);
  REQUIRE(bench.row(agent)->source == Source::agent);
  const BackendChanges changes = bench.configure({backend("10.0.0.1:80")});
  CHECK((changes.added == 1 && changes.removed == 1));
  CHECK(bench.row(agent)->source == Source::configured);
  CHECK(bench.table.status(bench.now).size() == 1);
  bench.configure({});
  bench.join(agent);
  CHECK(bench.row(agent)->source == Source::agent);
  CHECK(bench.configure({}).removed == 0);
  CHECK(bench.row(agent) != nullptr);
}

TEST_CASE("configured back-ends: orders are for the one that has come back, not for the one that leaves", "[reload]") {
  Configured bench;
  bench.configure({backend("10.0.0.1:80")});
  bench.accepts("10.0.0.1:80");
  const auto old = bench.acquire();
  bench.configure({});
  bench.configure({backend("10.0.0.1:80")});
  const Backend& back = bench.accepts("10.0.0.1:80");
  REQUIRE(bench.table.status(bench.now).size() == 2);
  CHECK(bench.table.set_state("10.0.0.1:80", AdminState::maint, bench.now) == ProxyView::Change::done);
  CHECK(back.state(bench.now) == State::maint);
}

TEST_CASE("BackendTable: a pool that only its agents spoke of is one to stay once it has a name", "[reload]") {
  BackendTable::Options options;
  options.pool_policies["web"] = Policy::round_robin;
  Bench bench(options);
  TestAgent agent("10.0.0.1:5555");
  agent.service.pool = monitoring::pool_id("web");
  bench.join(agent);
  REQUIRE(bench.table.status(bench.now)[0].pool.starts_with('#'));
  Pool& web = bench.table.name_pool("web");
  CHECK(web.policy == Policy::round_robin);
  CHECK(bench.table.status(bench.now)[0].pool == "web");
  CHECK(bench.table.set_state("10.0.0.1:80/web", AdminState::ready, bench.now) == ProxyView::Change::done);
  bench.remove(agent);
  CHECK(&bench.table.name_pool("web") == &web);
  CHECK_FALSE(bench.acquire_from(web));
}

TEST_CASE("BackendTable: other rules hold for those who are there", "[reload]") {
  Bench bench;
  const TestAgent kA("10.0.0.1:5555", 1), kB("10.0.0.2:5555", 2);
  bench.join(kA);
  bench.join(kB);
  std::vector<Lease> held;
  for (int i = 0; i < 4; ++i) held.push_back(std::move(*bench.acquire()));
  BackendTable::Options options;
  options.policy = Policy::round_robin;
  options.max_connections = 3;
  bench.table.change_rules(options, bench.now);
  const auto next = bench.acquire(), after = bench.acquire();
  REQUIRE((next && after));
  CHECK(next->address() != after->address());
  CHECK_FALSE(bench.acquire());  // three each
  options.max_connections = 0;
  options.require_agent = true;
  bench.table.change_rules(options, bench.now);
  CHECK(bench.acquire());
  for (const TestAgent* agent : {&kA, &kB}) {
    bench.row(*agent)->check_alive();
    bench.row(*agent)->check_alive();
    CHECK(bench.state(*agent) == State::down);
  }
}
