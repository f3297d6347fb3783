#include <algorithm>
#include <catch2/catch.hpp>

#include "proxy/simulated_pool.hpp"

// What the policy does to a pool, beyond single choices: the real table over simulated servers.

using namespace farol;
using namespace farol::test;
using Servers = std::vector<SimulatedPool::Server>;

namespace {

constexpr double kOneServer = 20;  ///< requests a second that keep one server busy

double rate(double load, std::size_t servers) { return load * kOneServer * static_cast<double>(servers); }

constexpr monitoring::Load kIdle{0, 0, 0, 0}, kFull{10000, 10000, 100, 100};

}  // namespace

TEST_CASE("simulation: equal servers get equal shares, and nobody waits as under the report's rule", "[simulation]") {
  const Servers equal(4);
  const auto weighted = SimulatedPool(Policy::weighted, equal).run(rate(.7, 4), 10s, 60s);
  const auto least = SimulatedPool(Policy::least_connections, equal).run(rate(.7, 4), 10s, 60s);
  const auto report = SimulatedPool(Policy::report, equal, 5s).run(rate(.7, 4), 10s, 60s);
  for (std::size_t i = 0; i < 4; ++i) CHECK(weighted.fair_shares(i) == Approx(1).margin(.15));
  CHECK(weighted.p99_ms < 1.15 * least.p99_ms);
  CHECK(report.p99_ms > 10 * weighted.p99_ms);
}

TEST_CASE("simulation: a low-lying agent gains less than twice its fair share", "[simulation]") {
  const std::size_t size = GENERATE(std::size_t{4}, std::size_t{16});
  const double load = GENERATE(.05, .3, .6, .85);
  Servers servers(size);
  const auto honest = SimulatedPool(Policy::weighted, servers).run(rate(load, size), 20s, 140s);
  servers[1].says = kIdle;
  const auto lied = SimulatedPool(Policy::weighted, servers).run(rate(load, size), 20s, 140s);
  CHECK(lied.fair_shares(1) < 2);
  CHECK(lied.p99_ms < 1.2 * honest.p99_ms);
}

TEST_CASE("simulation: an agent that says it is full is believed", "[simulation]") {
  Servers servers(4);
  servers[2].says = kFull;
  const auto result = SimulatedPool(Policy::weighted, servers).run(rate(.4, 4), 2s, 30s);
  CHECK(result.chosen[2] == 0);
}

TEST_CASE("simulation: a server that closes without a byte attracts nothing", "[simulation]") {
  Servers servers(4);
  servers[3].speed = 0;
  const auto weighted = SimulatedPool(Policy::weighted, servers).run(rate(.5, 4), 5s, 65s);
  const auto least = SimulatedPool(Policy::least_connections, servers).run(rate(.5, 4), 5s, 65s);
  CHECK(weighted.failed * 100 < rate(.5, 4) * 60);       // less than 1 % of all
  CHECK(least.failed * 4 > rate(.5, 4) * 60);  // it looks idle: the test would notice
}

TEST_CASE("simulation: a newcomer starts slowly", "[simulation]") {
  const double load = GENERATE(.3, .8);
  Servers servers(4);
  servers[0].joins = kStart + 30s;
  const auto first_second = SimulatedPool(Policy::weighted, servers).run(rate(load, 3), 30s, 31s);
  const auto first_five = SimulatedPool(Policy::weighted, servers, 5s).run(rate(load, 3), 30s, 35s);
  const auto later = SimulatedPool(Policy::weighted, servers).run(rate(load, 3), 45s, 105s);
  CHECK(first_second.fair_shares(0) < 2);
  CHECK(first_five.fair_shares(0) < 2);
  CHECK(later.fair_shares(0) == Approx(1).margin(.2));
}

TEST_CASE("simulation: a burst within a probe interval is spread, though reports differ a little", "[simulation]") {
  const double noise = GENERATE(0.0, .05);
  const std::size_t size = GENERATE(std::size_t{4}, std::size_t{16});
  Servers servers(size);
  for (auto& server : servers) server.cpu_noise = noise;
  const auto result = SimulatedPool(Policy::weighted, servers, 5s).run(rate(.6, size), 20s, 25s);
  for (std::size_t i = 0; i < size; ++i) CHECK(result.fair_shares(i) < 1.3);
  const auto herd = SimulatedPool(Policy::report, servers, 5s).run(rate(.6, size), 20s, 25s);
  CHECK(*std::max_element(herd.chosen.begin(), herd.chosen.end()) > herd.chosen.size() / 2);
}

TEST_CASE("simulation: the slower server gets less", "[simulation]") {
  Servers servers(4);
  servers[1].speed = .5;
  const auto result = SimulatedPool(Policy::weighted, servers).run(kOneServer * 3.5 * .7, 10s, 70s);
  const auto turns = SimulatedPool(Policy::round_robin, servers).run(kOneServer * 3.5 * .7, 10s, 70s);
  CHECK(result.fair_shares(1) < .8);
  CHECK(turns.p99_ms > 3 * result.p99_ms);
}
