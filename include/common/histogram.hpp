#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/clock.hpp"

namespace farol {

/// Bounds for what takes a network and a moment: 100 µs to 10 s.
inline constexpr auto kMomentBounds = [] {
  using namespace std::chrono_literals;
  return std::to_array<Duration>({100us, 250us, 500us, 1ms, 2500us, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms,
                                  5s, 10s});
}();
/// For what takes as long as its users like: 1 ms to a day.
inline constexpr auto kSpanBounds = [] {
  using namespace std::chrono_literals;
  return std::to_array<Duration>({1ms, 5ms, 25ms, 100ms, 500ms, 1s, 5s, 15s, 1min, 5min, 15min, 1h, 4h, 24h});
}();

/// What a histogram holds at one moment. A value.
struct HistogramCounts {
  std::span<const Duration> bounds;   ///< of all buckets but the last, which has none
  std::vector<std::uint64_t> counts;  ///< in each bucket, not cumulated: one more than bounds
  std::uint64_t sum_us = 0;           ///< of all durations
};

/// Counts durations by size. To observe one costs two relaxed additions and neither blocks nor allocates, so relays may
/// do it. Any thread.
class Histogram {
 public:
  static constexpr std::size_t kMostBounds = 16;

  /// `bounds` rise, a value on a bound is below it, and they outlive this. REQUIRES: at most kMostBounds.
  explicit Histogram(std::span<const Duration> bounds) : bounds_(bounds) {}

  void observe(Duration value) noexcept {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    // In nanoseconds ten thousand long sessions at once would wrap it around within weeks.
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
    sum_us_.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)), std::memory_order_relaxed);
  }

  /// No count is ever lower than in an earlier call.
  [[nodiscard]] HistogramCounts counts() const {
    HistogramCounts result{bounds_, std::vector<std::uint64_t>(bounds_.size() + 1), 0};
    for (std::size_t i = 0; i < result.counts.size(); ++i) result.counts[i] = counts_[i].load(std::memory_order_relaxed);
    result.sum_us = sum_us_.load(std::memory_order_relaxed);
    return result;
  }

 private:
  const std::span<const Duration> bounds_;
  std::array<std::atomic<std::uint64_t>, kMostBounds + 1> counts_{};
  std::atomic<std::uint64_t> sum_us_{0};
};

}  // namespace farol
