#include "proxy/estimators.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace farol::proxy {
namespace {

/// What is left of something after `age`: 1, 1/e, …
double faded(Duration age, Duration tau) {
  return std::exp(-std::max(0.0, to_seconds(age)) / to_seconds(tau));
}

}  // namespace

void RttEstimator::add(Duration sample) {
  sample_ = sample;
  estimated_ = (estimated_ * 7 + sample) / 8;
}

void LossWindow::add(bool lost) {
  constexpr std::uint32_t mask = (1U << kWindow) - 1;
  lost_ = (lost_ << 1 | (lost ? 1U : 0U)) & mask;
  count_ = std::min(count_ + 1, kWindow);
}

double LossWindow::share() const {
  return count_ == 0 ? 0.0 : static_cast<double>(std::popcount(lost_)) / count_;
}

void Smoothed::add(double sample, TimePoint now, Duration tau) {
  value_ = last_ ? value_ + (1 - faded(now - *last_, tau)) * (sample - value_) : sample;
  last_ = now;
}

void FailureRate::failed(TimePoint now, const WeightedConfig& config) {
  const double rate = at(now, config);
  value_ = rate + (1 - rate) * config.failure_step;
  last_ = now;
}

void FailureRate::succeeded(double times, TimePoint now, const WeightedConfig& config) {
  value_ = at(now, config) * std::pow(1 - config.failure_step, times);
  last_ = now;
}

double FailureRate::at(TimePoint now, const WeightedConfig& config) const {
  return value_ == 0 ? 0 : value_ * faded(now - last_, config.failure_tau);
}

void FirstByte::add(double mean, double count, TimePoint now, const WeightedConfig& config) {
  if (last_) {
    const double each = std::clamp(1 - faded((now - *last_) / std::max<std::int64_t>(1, std::llround(count)),
                                             config.first_byte_tau),
                                   config.first_byte_least, config.first_byte_most);
    value_ += (1 - std::pow(1 - each, count)) * (mean - value_);
  } else {
    value_ = mean;
  }
  last_ = now;
}

double FirstByte::trust(TimePoint now, const WeightedConfig& config) const {
  return last_ ? faded(now - *last_, config.first_byte_trust_tau) : 0;
}

}  // namespace farol::proxy
