#pragma once

#include <cstdint>
#include <optional>

#include "common/clock.hpp"

namespace farol::proxy {

/// Round-trip time of probes. `sample` is the last one; `estimated` is Jacobson's 7/8 · old + 1/8 · sample (RFC 6298's
/// SRTT), starting from the report's 200 ms. Pure; not thread-safe.
class RttEstimator {
 public:
  void add(Duration sample);
  void reset() { *this = RttEstimator{}; }
  [[nodiscard]] std::optional<Duration> sample() const { return sample_; }
  [[nodiscard]] Duration estimated() const { return estimated_; }

 private:
  std::optional<Duration> sample_;
  Duration estimated_ = std::chrono::milliseconds(200);
};

/// The share of lost probes among the last 20. The report does not say over what it counts; a window lets a back-end
/// recover. Pure; not thread-safe.
class LossWindow {
 public:
  static constexpr int kWindow = 20;
  void add(bool lost);
  void reset() { *this = LossWindow{}; }
  /// 0 to 1; 0 before the first probe.
  [[nodiscard]] double share() const;

 private:
  std::uint32_t lost_ = 0;  ///< one bit per probe, the newest lowest
  int count_ = 0;
};

}  // namespace farol::proxy
