#include "proxy/score.hpp"

#include <catch2/catch.hpp>

using namespace farol::proxy;

namespace {

const ScoreConfig kFigure;

ScoreInput input(double rtt_ms, std::uint32_t tcp, double cpu, double memory, double loss = 0) {
  return {rtt_ms, tcp, loss, cpu, memory};
}

}  // namespace

TEST_CASE("Score: the report's screens are the sums before the thresholds", "[score]") {
  struct Screen {
    ScoreInput seen;
    double sum;
  };
  for (const Screen& screen : {Screen{input(11, 0, .17, .89), 0.695}, Screen{input(8, 0, .07, .89), 0.600},
                               Screen{input(4, 100, 1, 1), 4.060}, Screen{input(3, 100, 1, 1), 4.045}}) {
    const Score score = report_score(screen.seen, kFigure);
    CHECK(score.components.sum() == Approx(screen.sum).margin(1e-9));
    CHECK(score.saturated);
    CHECK(score.value() == 100);
  }
}

TEST_CASE("Score: each part by its weight and ideal", "[score]") {
  const Score score = report_score(input(40, 20, .2, .3, .02), kFigure);
  CHECK(score.components.rtt == Approx(0.6));
  CHECK(score.components.tcp == Approx(0.6));
  CHECK(score.components.loss == Approx(0.6));
  CHECK(score.components.cpu == Approx(0.1));
  CHECK(score.components.memory == Approx(0.15));
  CHECK_FALSE(score.saturated);
  CHECK(score.value() == Approx(2.05));
}

TEST_CASE("Score: saturated from the threshold on, not below", "[score]") {
  CHECK(report_score(input(0, 0, .77, 0), kFigure).value() == 100);
  CHECK(report_score(input(0, 0, .7699, 0), kFigure).value() == Approx(.38495));
  CHECK(report_score(input(0, 0, 0, .77), kFigure).value() == 100);
  CHECK(report_score(input(0, 0, 0, .7699), kFigure).value() == Approx(.38495));
  CHECK(report_score(input(0, 0, 0, 0, .70), kFigure).value() == 100);
  CHECK(report_score(input(0, 0, 0, 0, .65), kFigure).value() == Approx(19.5));
}

TEST_CASE("Score: what an agent reports in 1/100 % meets the threshold exactly", "[score]") {
  CHECK(report_score(input(0, 0, 7700 / 10000.0, 0), kFigure).saturated);
  CHECK_FALSE(report_score(input(0, 0, 7699 / 10000.0, 0), kFigure).saturated);
  CHECK(report_score(input(0, 0, 0, 0, 14.0 / 20), kFigure).saturated);  // 14 of the last 20 probes
}

TEST_CASE("Score: weights, ideals and thresholds are configuration", "[score]") {
  ScoreConfig config;
  config.cpu_threshold = config.memory_threshold = 1.1;
  config.rtt_weight = 1;
  config.rtt_ideal_ms = 1;
  CHECK(report_score(input(4, 100, 1, 1), config).value() == Approx(8));
}
