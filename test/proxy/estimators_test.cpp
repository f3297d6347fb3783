#include "proxy/estimators.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace farol;
using namespace farol::proxy;
using std::chrono::milliseconds;

namespace {

struct Step {
  int sample_ms, estimated_ms;
};

/// Every estimate is within 2 ms of the report's, which cuts off the fraction at each step.
void check_screen(const std::vector<Step>& steps, RttEstimator& rtt) {
  for (const Step& step : steps) {
    rtt.add(milliseconds(step.sample_ms));
    CHECK(rtt.sample() == Duration(milliseconds(step.sample_ms)));
    CHECK(to_ms(rtt.estimated()) == Approx(step.estimated_ms).margin(2));
  }
}

/// An estimator that stands where a screen of the report begins.
RttEstimator standing_at(int estimated_ms) {
  RttEstimator rtt;
  rtt.add(milliseconds(8 * estimated_ms - 7 * 200));
  return rtt;
}

}  // namespace

TEST_CASE("RttEstimator: the report's screens", "[estimators]") {
  RttEstimator fresh;
  CHECK_FALSE(fresh.sample());
  CHECK(fresh.estimated() == milliseconds(200));
  check_screen({{99, 187}, {17, 165}}, fresh);
  RttEstimator second = standing_at(169);
  check_screen({{8, 148}, {11, 130}}, second);
  RttEstimator third = standing_at(130);
  check_screen({{2, 114}}, third);
}

TEST_CASE("RttEstimator: keeps microseconds, converges, starts anew", "[estimators]") {
  RttEstimator rtt;
  for (int i = 0; i < 200; ++i) rtt.add(std::chrono::microseconds(137));
  CHECK(to_ms(rtt.estimated()) == Approx(0.137).margin(0.001));
  rtt.reset();
  CHECK_FALSE(rtt.sample());
  CHECK(rtt.estimated() == milliseconds(200));
}

TEST_CASE("LossWindow: the share of the last 20, from which a back-end recovers", "[estimators]") {
  LossWindow loss;
  CHECK(loss.share() == 0);
  loss.add(false);
  loss.add(true);
  CHECK(loss.share() == 0.5);  // of those there were
  for (int i = 0; i < 20; ++i) loss.add(true);
  CHECK(loss.share() == 1);
  for (int i = 1; i <= 20; ++i) {
    loss.add(false);
    CHECK(loss.share() == Approx(1 - i / 20.0));
  }
  CHECK(loss.share() == 0);
  loss.add(true);
  loss.reset();
  CHECK(loss.share() == 0);
}
