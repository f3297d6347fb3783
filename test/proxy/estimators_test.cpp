#include "proxy/estimators.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr TimePoint kStart{1000h};
const WeightedConfig kConfig;

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

TEST_CASE("Smoothed: the first sample as it is, then by time, at any pace", "[estimators]") {
  Smoothed once, often;
  CHECK(once.value() == 0);
  once.add(10, kStart, 10s);
  often.add(10, kStart, 10s);
  CHECK(once.value() == 10);
  once.add(20, kStart + 10s, 10s);
  CHECK(once.value() == Approx(20 - 10 / std::exp(1)));  // after one time constant 1/e of the old is left
  for (int i = 1; i <= 100; ++i) often.add(20, kStart + i * 100ms, 10s);
  CHECK(often.value() == Approx(once.value()));
  once.add(0, kStart + 10s, 10s);
  CHECK(once.value() == Approx(20 - 10 / std::exp(1)));  // no time, no share
}

TEST_CASE("FailureRate: a sixteenth for each connection, forgotten in ten seconds", "[estimators]") {
  FailureRate rate;
  CHECK(rate.at(kStart, kConfig) == 0);
  rate.failed(kStart, kConfig);
  CHECK(rate.at(kStart, kConfig) == Approx(1 / 16.0));
  rate.failed(kStart, kConfig);
  CHECK(rate.at(kStart, kConfig) == Approx(1 - 15 * 15 / 256.0));
  CHECK(rate.at(kStart + 10s, kConfig) == Approx((1 - 15 * 15 / 256.0) / std::exp(1)));
  rate.succeeded(1, kStart, kConfig);
  CHECK(rate.at(kStart, kConfig) == Approx((1 - 15 * 15 / 256.0) * 15 / 16));
  FailureRate one_by_one = rate, at_once = rate;
  for (int i = 0; i < 5; ++i) one_by_one.succeeded(1, kStart + 1s, kConfig);
  at_once.succeeded(5, kStart + 1s, kConfig);
  CHECK(one_by_one.at(kStart + 2s, kConfig) == Approx(at_once.at(kStart + 2s, kConfig)));
}

TEST_CASE("FirstByte: a sample's share is by time, within bounds", "[estimators]") {
  FirstByte time;
  CHECK_FALSE(time.value());
  CHECK(time.trust(kStart, kConfig) == 0);
  time.add(4, 7, kStart, kConfig);
  CHECK(time.value() == 4.0);
  SECTION("a rare one counts half") {
    time.add(8, 1, kStart + 1min, kConfig);
    CHECK(*time.value() == Approx(6));
  }
  SECTION("a frequent one counts a sixteenth") {
    time.add(8, 1, kStart + 1ms, kConfig);
    CHECK(*time.value() == Approx(4.25));
  }
  SECTION("in between: by a time constant of 2 s") {
    time.add(8, 1, kStart + 1s, kConfig);
    CHECK(*time.value() == Approx(8 - 4 * std::exp(-.5)));
  }
  SECTION("several at once count as if they had come evenly") {
    time.add(8, 4, kStart + 2s, kConfig);
    CHECK(*time.value() == Approx(8 - 4 * std::exp(-1)));
  }
}

TEST_CASE("FirstByte: an old one is believed less and less", "[estimators]") {
  FirstByte time;
  time.add(4, 1, kStart, kConfig);
  CHECK(time.trust(kStart, kConfig) == 1);
  CHECK(time.trust(kStart + 10s, kConfig) == Approx(1 / std::exp(1)));
  CHECK(*time.value() == 4);
}
