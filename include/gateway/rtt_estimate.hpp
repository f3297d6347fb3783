#pragma once

#include <algorithm>
#include <array>

#include "common/clock.hpp"

namespace farol::gateway {

/// The round-trip time to one server, measured as RFC 9002, 5 does: smoothed, its variation, and the least of the last
/// ten seconds. A value; not thread-safe.
class RttEstimate {
 public:
  void add(TimePoint now, Duration sample);

  [[nodiscard]] bool measured() const { return measured_; }
  [[nodiscard]] Duration smoothed() const { return smoothed_; }
  [[nodiscard]] Duration variation() const { return variation_; }
  [[nodiscard]] Duration least() const { return std::min(least_[0], least_[1]); }
  /// After how long an answer is overdue (the probe time-out, RFC 9002, 6.2). Its floor is above the scheduling noise of
  /// a busy machine, which on a LAN is all there is to see.
  [[nodiscard]] Duration timeout() const;

 private:
  bool measured_ = false;
  Duration smoothed_ = std::chrono::milliseconds(100);  ///< a guess until the first sample
  Duration variation_ = std::chrono::milliseconds(50);
  std::array<Duration, 2> least_ = {std::chrono::milliseconds(100), std::chrono::milliseconds(100)};  ///< of two halves
  TimePoint half_began_{};
};

}  // namespace farol::gateway
