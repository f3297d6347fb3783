#include "gateway/rtt_estimate.hpp"

#include <algorithm>

namespace farol::gateway {
namespace {

constexpr Duration kLeastSample = std::chrono::microseconds(1);
constexpr Duration kNoise = std::chrono::milliseconds(10);
constexpr Duration kHalf = std::chrono::seconds(5);

}  // namespace

void RttEstimate::add(TimePoint now, Duration sample) {
  sample = std::max(sample, kLeastSample);
  if (!measured_) {
    measured_ = true;
    smoothed_ = sample;
    variation_ = sample / 2;
    least_ = {sample, sample};
    half_began_ = now;
    return;
  }
  if (now - half_began_ >= kHalf) {
    least_ = {least_[1], sample};
    half_began_ = now;
  }
  least_[1] = std::min(least_[1], sample);
  const Duration off = sample > smoothed_ ? sample - smoothed_ : smoothed_ - sample;
  variation_ = (3 * variation_ + off) / 4;
  smoothed_ = (7 * smoothed_ + sample) / 8;
}

Duration RttEstimate::timeout() const { return smoothed_ + std::max(4 * variation_, kNoise); }

}  // namespace farol::gateway
