#include "proxy/source_hash.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "proxy/pool_arrays.hpp"

using namespace farol;
using namespace farol::proxy;
using farol::test::PoolArrays;

namespace {

std::uint64_t client(std::uint32_t number) { return source_hash(Address::ipv4(0x0a000000 + number, 40000)); }

PoolArrays pool_of(const std::vector<double>& shares) {
  PoolArrays pool({});
  for (std::size_t i = 0; i < shares.size(); ++i) {
    pool.add(0, shares[i]);
    pool.identity[i] = identity_hash(Address::ipv4(0xc0a80000 + static_cast<std::uint32_t>(i), 80));
  }
  return pool;
}

std::size_t of(PoolArrays& pool, std::uint32_t number) { return pick_by_source(pool.candidates(), client(number))->index; }

}  // namespace

TEST_CASE("source-hash: the same client, the same back-end, whatever its port", "[policy]") {
  CHECK(source_hash(*Address::parse("10.0.0.1:1")) == source_hash(*Address::parse("10.0.0.1:2")));
  CHECK(source_hash(*Address::parse("10.0.0.1:1")) != source_hash(*Address::parse("10.0.0.2:1")));
  CHECK(identity_hash(*Address::parse("10.0.0.1:1")) != identity_hash(*Address::parse("10.0.0.1:2")));
  CHECK(identity_hash(*Address::parse("[::1]:80")) != identity_hash(*Address::parse("0.0.0.1:80")));
  PoolArrays pool = pool_of({1, 1, 1, 1});
  const std::size_t first = of(pool, 7);
  for (int i = 0; i < 10; ++i) CHECK(of(pool, 7) == first);
}

TEST_CASE("source-hash: clients are spread by share", "[policy]") {
  const auto shares = GENERATE(std::vector<double>{1, 1, 1, 1}, std::vector<double>{1, 2, 4, 1});
  PoolArrays pool = pool_of(shares);
  constexpr int kClients = 20000;
  std::vector<double> got(shares.size(), 0);
  double sum = 0;
  for (const double share : shares) sum += share;
  for (std::uint32_t i = 0; i < kClients; ++i) ++got[of(pool, i)];
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double expected = kClients * shares[i] / sum;
    CHECK(std::abs(got[i] - expected) < 4 * std::sqrt(expected));
  }
}

TEST_CASE("source-hash: when one leaves or comes back, only its own clients move", "[policy]") {
  const auto shares = GENERATE(std::vector<double>(8, 1.0), std::vector<double>{1, 2, 1, 3, 1, 1, 2, 1});
  PoolArrays all = pool_of(shares), without = pool_of(shares);
  without.key[3] = kNotNow;
  int moved = 0;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const std::size_t before = of(all, i), after = of(without, i);
    CHECK(after != 3);
    if (before == 3)
      ++moved;
    else
      CHECK(after == before);
  }
  CHECK(moved > 0);
}

TEST_CASE("source-hash: nobody gets more than 1.25 times its share, even from one client", "[policy]") {
  PoolArrays pool = pool_of({1, 1, 1, 1});
  for (int i = 1; i <= 400; ++i) {
    ++pool.open[of(pool, 7)];
    for (const std::uint32_t open : pool.open) CHECK(open <= std::ceil(1.25 * i / 4));
  }
  PoolArrays heavy = pool_of({3, 1});
  for (int i = 1; i <= 400; ++i) ++heavy.open[of(heavy, 7)];
  CHECK(heavy.open[0] <= 375);
  CHECK(heavy.open[1] <= 125);
}

TEST_CASE("source-hash: when one's share grows, clients move to it and nowhere else", "[policy]") {
  PoolArrays before = pool_of({1, 1, 1, 1}), after = pool_of({1, 1, 1, 2});
  constexpr int kClients = 20000;
  int moved = 0;
  for (std::uint32_t i = 0; i < kClients; ++i) {
    const std::size_t was = of(before, i), is = of(after, i);
    if (is == was) continue;
    CHECK(is == 3);
    ++moved;
  }
  CHECK(moved == Approx(kClients * (2 / 5.0 - 1 / 4.0)).margin(4 * std::sqrt(kClients * .15 * .85)));
}

TEST_CASE("source-hash: a client whose back-end is full goes to the next in its own order", "[policy]") {
  PoolArrays pool = pool_of(std::vector<double>(8, 1.0)), without = pool_of(std::vector<double>(8, 1.0));
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::size_t first = of(pool, i);
    without.key[first] = kNotNow;
    const std::size_t second = of(without, i);
    without.key[first] = 0;
    pool.open[first] = 100;  // of 100: far above its share
    CHECK(of(pool, i) == second);
    pool.open[first] = 0;
    CHECK(of(pool, i) == first);
  }
}

TEST_CASE("source-hash: ten thousand back-ends have their clients, each its own", "[policy]") {
  PoolArrays pool = pool_of(std::vector<double>(10'000, 1.0));
  std::vector<int> got(10'000, 0);
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const std::size_t chosen = of(pool, i);
    ++got[chosen];
    CHECK(of(pool, i) == chosen);
  }
  CHECK(*std::max_element(got.begin(), got.end()) <= 6);  // Poisson of 0.3: more than that in one of 3000 such pools
}
