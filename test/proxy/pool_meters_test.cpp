#include "proxy/pool_meters.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <string>

#include "proxy/monitoring_fixture.hpp"
#include "proxy/session_fixture.hpp"

// What is counted for a whole pool, and stays when a back-end has left.

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

std::uint64_t all(const HistogramCounts& histogram) {
  return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

std::uint64_t decided(const PoolStatus& pool, Reason reason) {
  return pool.decisions.at(static_cast<std::size_t>(reason)).count;
}

}  // namespace

TEST_CASE("pool meters: every session is counted once, with its times and bytes", "[metrics]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  for (int i = 0; i < 3; ++i) {
    Pair pair = connect_through(proxy, server);
    CHECK(pair.client.send("four"));
    CHECK(pair.server.read(4) == "four");
    CHECK(pair.server.send("answer"));
    CHECK(pair.client.read(6) == "answer");
  }
  for (int i = 0; i < 3; ++i) proxy.next_session();
  REQUIRE(eventually([&] { return proxy.engine().active() == 0; }));
  const PoolStatus pool = proxy.table().pools().at(0);
  CHECK(all(pool.connect_time) == 3);
  CHECK(all(pool.session_time) == 3);
  CHECK(all(pool.first_byte) == 3);
  CHECK(pool.session_time.sum_us >= pool.first_byte.sum_us);
  const BackendStatus backend = proxy.table().status(Clock::now()).at(0);
  CHECK(backend.bytes_in == 12);
  CHECK(backend.bytes_out == 18);
}

TEST_CASE("pool meters: a connect that failed is no connection and no session", "[metrics]") {
  const auto engine = GENERATE(every_engine());
  const RefusingServer nobody;
  ProxyUnderTest proxy(engine, {nobody.address()});
  CHECK(proxy.client().read_to_end().bytes.empty());
  CHECK(proxy.next_session()["cause"] == "SC");
  const PoolStatus pool = proxy.table().pools().at(0);
  CHECK(pool.connect_failures == 1);
  CHECK(all(pool.connect_time) == 0);
  CHECK(all(pool.session_time) == 0);
}

TEST_CASE("pool meters: probes, answered and lost, outlive their back-end", "[metrics]") {
  Bench bench;
  const TestAgent agent("10.0.0.1:5555");
  bench.join(agent);
  bench.probe_and_answer(agent, 20ms);
  bench.probe(agent);
  bench.pass(600ms);
  const BackendStatus row = bench.table.status(bench.now).at(0);
  CHECK(row.probes_sent == 2);
  CHECK(row.probes_answered == 1);
  CHECK(row.probes_lost == 1);
  bench.remove(agent);
  const PoolStatus pool = bench.table.pools().at(0);
  CHECK(pool.probes_lost == 1);
  CHECK(all(pool.probe_rtt) == 1);
  CHECK(pool.probe_rtt.sum_us == 20'000);
}

TEST_CASE("Pool: choices are counted by what decided them", "[pool]") {
  BackendTable::Options options;
  options.policy = GENERATE(Policy::weighted, Policy::round_robin, Policy::source_hash);
  Bench bench(std::move(options));
  Backend &one = bench.add_static("10.0.0.1:80"), &spare = bench.add_static("10.0.0.9:80");
  spare.backup = true;
  const auto accept = [&](Backend& backend) { backend.take_check(true, bench.now, bench.timers); };
  accept(one);
  accept(spare);
  Pool& pool = bench.table.name_pool(std::string(monitoring::kDefaultPool));
  const auto told = [&] { return bench.table.pools().at(0); };
  CHECK(bench.acquire());
  const Reason usual = pool.policy == Policy::weighted      ? Reason::lowest
                       : pool.policy == Policy::round_robin ? Reason::turn
                                                            : Reason::source;
  CHECK(decided(told(), usual) == 1);
  CHECK(bench.table.decisions().at(0).reason == usual);
  CHECK(bench.acquire({one.id})->id() == spare.id);
  CHECK(decided(told(), Reason::backup) == 1);
  CHECK(bench.acquire({spare.id})->id() == one.id);
  CHECK(decided(told(), Reason::retry) == 1);
  one.connect_failed(bench.now, true);
  spare.admin = AdminState::drain;
  CHECK(bench.acquire()->id() == one.id);
  CHECK(decided(told(), Reason::last_resort) == 1);
}

TEST_CASE("Pool: who is not quite the best, but whose turn it is, is told as that", "[pool]") {
  Bench bench;
  TestAgent better("10.0.0.1:5555", 1), hardly_worse("10.0.0.2:5555", 2);
  hardly_worse.load.cpu = static_cast<std::uint16_t>(better.load.cpu + 100);
  for (const TestAgent* agent : {&better, &hardly_worse}) {
    bench.join(*agent);
    bench.probe_and_answer(*agent);
  }
  for (int i = 0; i < 8; ++i) CHECK(bench.acquire());
  const PoolStatus pool = bench.table.pools().at(0);
  CHECK(decided(pool, Reason::lowest) == 4);
  CHECK(decided(pool, Reason::turn) == 4);
}
