#include "common/histogram.hpp"

#include <catch2/catch.hpp>
#include <numeric>

using namespace farol;
using namespace std::chrono_literals;

namespace {

constexpr auto kBounds = std::to_array<Duration>({1ms, 10ms, 1s});

}  // namespace

TEST_CASE("Histogram: a value on a bound is below it, one beyond the last is in the bucket without one", "[histogram]") {
  Histogram histogram(kBounds);
  for (const Duration value : std::initializer_list<Duration>{0ns, 1ms, 1ms + 1ns, 10ms, 999ms, 1s, 1s + 1ns, 24h})
    histogram.observe(value);
  CHECK(histogram.counts().counts == std::vector<std::uint64_t>{2, 2, 2, 2});
}

TEST_CASE("Histogram: its sum is in microseconds, and no odd value makes it fall", "[histogram]") {
  Histogram histogram(kBounds);
  histogram.observe(1500us);
  histogram.observe(2s);
  CHECK(histogram.counts().sum_us == 2'001'500);
  histogram.observe(-5ms);
  CHECK(histogram.counts().sum_us == 2'001'500);
  CHECK(histogram.counts().counts == std::vector<std::uint64_t>{1, 1, 0, 1});
}
