#include "gateway/rate_model.hpp"

#include <algorithm>

namespace farol::gateway {
namespace {

constexpr unsigned kLeast = 4;
constexpr double kFirst = 32;
constexpr double kBurst = 110;  ///< 128 KiB beside the pipe: a server sends up to 46 chunks in one burst
constexpr double kGrowth = 1.25;
constexpr unsigned kRoundsWithoutGrowth = 3;
constexpr Duration kShortestRound = std::chrono::milliseconds(1);  ///< less is scheduling noise
constexpr Duration kQueueNoise = std::chrono::microseconds(200);

}  // namespace

void RateModel::sent(TimePoint now, unsigned chunks) {
  if (!in_round_) begin_round(now);
  in_flight_ += chunks;
}

void RateModel::begin_round(TimePoint now) {
  in_round_ = true;
  used_up_ = true;
  round_began_ = now;
  delivered_ = lost_ = 0;
}

void RateModel::delivered(TimePoint now, unsigned chunks) {
  in_flight_ -= std::min(in_flight_, chunks);
  delivered_ += chunks;
  if (starting_ && used_up_) window_ = std::min<double>(window_ + chunks, most_);
  end_round(now);
}

void RateModel::lost(TimePoint now, unsigned chunks) {
  in_flight_ -= std::min(in_flight_, chunks);
  lost_ += chunks;
  end_round(now);
}

void RateModel::end_round(TimePoint now) {
  if (!in_round_) return;
  const Duration least = std::max(rtt.smoothed(), kShortestRound);
  if (now - round_began_ < least) {
    in_round_ = in_flight_ > 0;
    // Too short to measure by, and what follows is no work of ours. But all of it came in less than a round, so a round
    // brings at least as much: without this, a server once taken for slow would be asked too little to show otherwise.
    const double at_least = delivered_ / to_seconds(least);
    if (!in_round_ && best_rate() > 0 && at_least > best_rate()) rates_[round_++ % kRounds] = at_least;
    return;
  }
  const double rate = delivered_ / to_seconds(now - round_began_);
  if (used_up_ || rate > best_rate()) rates_[round_++ % kRounds] = rate;
  judge(rate);
  in_round_ = false;
  if (in_flight_ > 0) begin_round(now);
}

void RateModel::judge(double rate) {
  const double loss = delivered_ + lost_ == 0 ? 0 : static_cast<double>(lost_) / (delivered_ + lost_);
  const bool queueing = rtt.smoothed() > rtt.least() * 6 / 5 + kQueueNoise;
  if (starting_) {
    if (used_up_) {
      rounds_without_growth_ = rate >= kGrowth * best_in_startup_ ? 0 : rounds_without_growth_ + 1;
      best_in_startup_ = std::max(best_in_startup_, rate);
    }
    if (rounds_without_growth_ >= kRoundsWithoutGrowth || (loss > .12 && lost_ >= 30)) leave_startup();
  } else if ((loss > .02 && lost_ >= 8 && queueing) || (loss > .12 && lost_ >= 20)) {
    ceiling_ = std::max<double>(.7 * std::min<double>(window(), ceiling_), kLeast);
  } else {
    ceiling_ = std::min<double>(1.05 * ceiling_, most_);
  }
}

void RateModel::leave_startup() {
  starting_ = false;
  rounds_without_growth_ = 0;
  best_in_startup_ = 0;
}

void RateModel::collapse() {
  starting_ = true;
  window_ = kLeast;
  rates_ = {};
  best_in_startup_ = 0;
  rounds_without_growth_ = 0;
}

unsigned RateModel::window() const {
  double window = window_;
  if (!starting_) {
    window = 2 * best_rate() * to_seconds(rtt.least()) + kBurst;
  }
  return static_cast<unsigned>(std::clamp<double>(window, kLeast, std::min<double>(ceiling_, most_)));
}

double RateModel::best_rate() const { return *std::max_element(rates_.begin(), rates_.end()); }

double RateModel::rate() const {
  const double best = best_rate();
  return best > 0 ? best : (starting_ ? window_ : kFirst) / std::max(to_seconds(rtt.smoothed()), 1e-4);
}

}  // namespace farol::gateway
