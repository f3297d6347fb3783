#pragma once

#include <cstdint>
#include <optional>

#include "common/clock.hpp"
#include "proxy/weighted_config.hpp"

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

/// A figure that jumps, smoothed by a time constant: samples may come at any pace. Pure; not thread-safe.
class Smoothed {
 public:
  void add(double sample, TimePoint now, Duration tau);
  /// 0 before the first sample.
  [[nodiscard]] double value() const { return value_; }

 private:
  double value_ = 0;
  std::optional<TimePoint> last_;
};

/// The share of connections that failed (no connection, or closed before the first byte): each counts for a sixteenth,
/// and without new ones it is forgotten. Pure; not thread-safe.
class FailureRate {
 public:
  void failed(TimePoint now, const WeightedConfig& config);
  void succeeded(double times, TimePoint now, const WeightedConfig& config);
  [[nodiscard]] double at(TimePoint now, const WeightedConfig& config) const;

 private:
  double value_ = 0;
  TimePoint last_{};
};

/// The usual time from the choice to the back-end's first byte, as a logarithm: what counts is how many times slower
/// one is than another. Pure; not thread-safe.
class FirstByte {
 public:
  /// `count` samples since the last call, with this mean of their logarithms.
  void add(double mean, double count, TimePoint now, const WeightedConfig& config);
  [[nodiscard]] std::optional<double> value() const { return last_ ? std::optional(value_) : std::nullopt; }
  /// 1 right after a sample, towards 0 with age.
  [[nodiscard]] double trust(TimePoint now, const WeightedConfig& config) const;

 private:
  double value_ = 0;
  std::optional<TimePoint> last_;
};

}  // namespace farol::proxy
