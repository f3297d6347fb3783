#include "proxy/policy.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

using namespace farol::proxy;

namespace {

using Candidates = std::vector<Candidate>;

Candidate open(double score, std::uint64_t chosen_at = 0) { return {score, score, chosen_at}; }
Candidate saturated(double sum, std::uint64_t chosen_at = 0) { return {100, sum, chosen_at}; }

/// Chooses `times` times as the table does, counting each choice; how often each candidate was chosen.
std::map<std::size_t, int> tally(Candidates candidates, Policy policy, int times) {
  std::map<std::size_t, int> chosen;
  for (int i = 1; i <= times; ++i) {
    const auto index = choose(candidates, policy);
    REQUIRE(index);
    ++chosen[*index];
    candidates[*index].chosen_at = static_cast<std::uint64_t>(i);
  }
  return chosen;
}

constexpr Policy kAll[] = {Policy::weighted, Policy::report, Policy::round_robin};

}  // namespace

TEST_CASE("choose: nobody among none, the only one among one", "[policy]") {
  for (const Policy policy : kAll) {
    CHECK_FALSE(choose(Candidates{}, policy));
    CHECK(choose(Candidates{saturated(50, 7)}, policy) == 0U);
  }
}

TEST_CASE("choose: report takes the lowest score, however small the difference", "[policy]") {
  CHECK(choose(Candidates{open(0.6, 1), open(0.599, 9), open(0.7)}, Policy::report) == 1U);
  CHECK(choose(Candidates{saturated(0.2), open(99)}, Policy::report) == 1U);
}

TEST_CASE("choose: ties go to the least recently chosen", "[policy]") {
  CHECK(choose(Candidates{open(0.6, 5), open(0.6, 3), open(0.6, 4)}, Policy::report) == 1U);
  CHECK(choose(Candidates{open(0.6, 5), open(0.6), open(0.6, 4)}, Policy::weighted) == 1U);
}

TEST_CASE("choose: the saturated are ordered by the sum before the thresholds", "[policy]") {
  for (const Policy policy : {Policy::weighted, Policy::report}) {
    CHECK(choose(Candidates{saturated(4.06), saturated(0.695, 9)}, policy) == 1U);
    CHECK(tally({saturated(4.06), saturated(0.695)}, policy, 10) == std::map<std::size_t, int>{{1, 10}});
  }
}

TEST_CASE("choose: weighted alternates within a tie's width, and not beyond", "[policy]") {
  CHECK(tally({open(0.600), open(0.6149)}, Policy::weighted, 10) == std::map<std::size_t, int>{{0, 5}, {1, 5}});
  CHECK(tally({open(0.600), open(0.6151)}, Policy::weighted, 10) == std::map<std::size_t, int>{{0, 10}});
  CHECK(tally({saturated(2), saturated(2.01), saturated(3)}, Policy::weighted, 10) ==
        std::map<std::size_t, int>{{0, 5}, {1, 5}});
  // A score just below the cut does not tie with a saturated one.
  CHECK(tally({open(99.99), saturated(1)}, Policy::weighted, 4) == std::map<std::size_t, int>{{0, 4}});
}

TEST_CASE("choose: round-robin is exact, whatever the scores", "[policy]") {
  CHECK(tally({open(0.1), open(50), saturated(3)}, Policy::round_robin, 300) ==
        std::map<std::size_t, int>{{0, 100}, {1, 100}, {2, 100}});
}

TEST_CASE("Policy: names as the flags have them", "[policy]") {
  CHECK(to_string(Policy::weighted) == "weighted");
  CHECK(to_string(Policy::report) == "report");
  CHECK(to_string(Policy::round_robin) == "round-robin");
}
