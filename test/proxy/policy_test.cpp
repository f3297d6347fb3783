#include "proxy/policy.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "proxy/least_connections.hpp"
#include "proxy/pool_arrays.hpp"

using namespace farol::proxy;
using farol::test::PoolArrays;

namespace {

constexpr double kTie = 0.015;

/// Chooses `times` times as a pool does, counting each choice; how often each candidate was chosen.
std::map<std::size_t, int> tally(PoolArrays pool, Policy policy, int times) {
  std::map<std::size_t, int> chosen;
  for (int i = 1; i <= times; ++i) {
    const auto pick = choose(policy, pool.candidates(), kTie, 0);
    REQUIRE(pick);
    ++chosen[pick->index];
    pool.chosen_at[pick->index] = static_cast<std::uint64_t>(i);
  }
  return chosen;
}

using Tally = std::map<std::size_t, int>;

}  // namespace

TEST_CASE("choose: nobody among none, the only one among one, never one who is not to be chosen", "[policy]") {
  for (const Policy policy : kPolicies) {
    CAPTURE(to_string(policy));
    PoolArrays none({}), all_out({kNotNow, kNotNow}), one({50}), one_of_many({kNotNow, 3, kNotNow});
    CHECK_FALSE(choose(policy, none.candidates(), kTie, 7));
    CHECK_FALSE(choose(policy, all_out.candidates(), kTie, 7));
    CHECK(choose(policy, one.candidates(), kTie, 7)->index == 0);
    CHECK(choose(policy, one_of_many.candidates(), kTie, 7)->index == 1);
  }
}

TEST_CASE("choose: report takes the lowest score, however small the difference", "[policy]") {
  PoolArrays pool({0.6, 0.599, 0.7});
  pool.chosen_at = {1, 9, 0};
  CHECK(choose(Policy::report, pool.candidates(), kTie, 0)->index == 1);
  CHECK(choose(Policy::report, pool.candidates(), kTie, 0)->runner_up == 0.6);
}

TEST_CASE("choose: ties go to the least recently chosen", "[policy]") {
  for (const Policy policy : {Policy::weighted, Policy::report, Policy::least_connections}) {
    PoolArrays pool({0.6, 0.6, 0.6});
    pool.chosen_at = {5, 3, 4};
    CHECK(choose(policy, pool.candidates(), kTie, 0)->index == 1);
    CHECK(choose(policy, pool.candidates(), kTie, 0)->runner_up == 0.6);
  }
}

TEST_CASE("choose: weighted alternates within a tie's width, and not beyond", "[policy]") {
  CHECK(tally(PoolArrays({0.600, 0.6149}), Policy::weighted, 10) == Tally{{0, 5}, {1, 5}});
  CHECK(tally(PoolArrays({0.600, 0.6151}), Policy::weighted, 10) == Tally{{0, 10}});
  CHECK(tally(PoolArrays({0.600, 0.6149}), Policy::report, 10) == Tally{{0, 10}});
}

TEST_CASE("choose: the lowest is found at every place of every length", "[policy]") {
  for (std::size_t length = 1; length <= 23; ++length)
    for (std::size_t place = 0; place < length; ++place) {
      PoolArrays pool(std::vector<double>(length, 2.0));
      pool.key[place] = 1.0;
      const auto pick = choose(Policy::weighted, pool.candidates(), kTie, 0);
      CHECK(pick->index == place);
      CHECK(pick->runner_up == (length == 1 ? kNotNow : 2.0));
    }
}

TEST_CASE("choose: least-connections counts the connection to come, by weight", "[policy]") {
  CHECK(connections_key(0, 1) == 1);
  CHECK(connections_key(0, 4) < connections_key(0, 1));  // an idle heavy one comes first
  CHECK(connections_key(3, 4) == connections_key(0, 1));
  PoolArrays pool({});
  for (const double share : {3.0, 1.0}) pool.add(connections_key(0, share), share);
  std::string order;
  for (int i = 1; i <= 8; ++i) {
    const auto pick = choose(Policy::least_connections, pool.candidates(), kTie, 0);
    order += static_cast<char>('a' + pick->index);
    pool.key[pick->index] = connections_key(++pool.open[pick->index], pool.share[pick->index]);
    pool.chosen_at[pick->index] = static_cast<std::uint64_t>(i);
  }
  CHECK(pool.open == std::vector<std::uint32_t>{6, 2});
  CHECK(order.substr(0, 2) == "aa");
}

TEST_CASE("choose: round-robin is smooth", "[policy]") {
  PoolArrays pool({});
  for (const double share : {5.0, 1.0, 1.0}) pool.add(0, share);
  std::string order;
  for (int i = 0; i < 14; ++i)
    order += static_cast<char>('a' + choose(Policy::round_robin, pool.candidates(), kTie, 0)->index);
  CHECK(order == "aabacaaaabacaa");  // nginx's own example
}

TEST_CASE("choose: round-robin is exact whatever else is known, and skips who is out", "[policy]") {
  PoolArrays pool({0.1, 50, kNotNow, 3});
  CHECK(tally(pool, Policy::round_robin, 300) == Tally{{0, 100}, {1, 100}, {3, 100}});
}

TEST_CASE("Policy: names as the flags have them", "[policy]") {
  CHECK(to_string(Policy::weighted) == "weighted");
  CHECK(to_string(Policy::report) == "report");
  CHECK(to_string(Policy::least_connections) == "least-connections");
  CHECK(to_string(Policy::round_robin) == "round-robin");
  CHECK(to_string(Policy::source_hash) == "source-hash");
}
