#include <catch2/catch.hpp>

#include "../../bench/study/contenders.hpp"

using namespace farol::study;

namespace {

Outcome outcome(const char* name, const Contender& contender, std::uint64_t seed = 1) {
  return simulate(scenario(name), contender.make, seed);
}

}  // namespace

TEST_CASE("study: a run is a function of its seed", "[study]") {
  const Contender contender = weighted("weighted", 5);
  const Outcome first = outcome("four70", contender), again = outcome("four70", contender);
  CHECK(first.requests == again.requests);
  CHECK(first.p99 == again.p99);
  CHECK(first.p999 == again.p999);
  CHECK(outcome("four70", contender, 2).p99 != first.p99);
}

TEST_CASE("study: weighted is no worse than least connections by a tenth, and far better where agents know more",
          "[study][long]") {
  for (const char* name : {"four70", "four85", "four-dead", "pair70"}) {
    CAPTURE(name);
    CHECK(outcome(name, weighted("weighted", 5)).p99 <= outcome(name, reference()).p99 * 1.1);
  }
  CHECK(outcome("four-gray", weighted("weighted", 5)).p99 <= outcome("four-gray", reference()).p99 * 0.8);
}

TEST_CASE("study: the report's rule herds", "[study]") {
  Farol::Settings report;
  report.policy = farol::proxy::Policy::report;
  CHECK(outcome("four70", farol_as("report", report)).p99 > 10 * outcome("four70", reference()).p99);
}

TEST_CASE("study: a back-end that accepts and closes attracts least connections and not weighted", "[study][long]") {
  CHECK(outcome("two-sink", reference()).fault_failed > 0.3);
  CHECK(outcome("sink", weighted("weighted", 5)).fault_failed < 0.005);
}
