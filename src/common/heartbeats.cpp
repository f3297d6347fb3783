#include "common/heartbeats.hpp"

#include <utility>

namespace farol {
namespace {

constexpr int kRounds = 4;  ///< that a thread with nothing to do makes within the patience

}  // namespace

Heartbeats::Pulse::Pulse(Heartbeats* all, std::string name) : all_(all), name_(std::move(name)), last_(Clock::now()) {
  if (all_ == nullptr) return;
  MutexLock lock(all_->mutex_);
  all_->pulses_.insert(this);
}

Heartbeats::Pulse::~Pulse() {
  if (all_ == nullptr) return;
  MutexLock lock(all_->mutex_);
  all_->pulses_.erase(this);
}

TimePoint Heartbeats::Pulse::beat(TimePoint now) noexcept {
  if (all_ == nullptr || all_->patience_ == Duration::zero()) return kNever;
  last_.store(now, std::memory_order_relaxed);
  return now + all_->patience_ / kRounds;
}

std::optional<std::string> Heartbeats::stuck(TimePoint now) const {
  MutexLock lock(mutex_);
  for (const Pulse* pulse : pulses_)
    if (now - pulse->last_.load(std::memory_order_relaxed) > patience_) return pulse->name_;
  return std::nullopt;
}

}  // namespace farol
