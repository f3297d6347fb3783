#include "proxy/estimators.hpp"

#include <algorithm>
#include <bit>

namespace farol::proxy {

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

}  // namespace farol::proxy
