#include "http/status_counts.hpp"

#include <algorithm>

namespace farol::http {

void StatusCounts::add(int status) noexcept {
  const auto at = std::find(kCodes.begin(), kCodes.end(), status) - kCodes.begin();
  counts_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
}

std::vector<std::pair<int, std::uint64_t>> StatusCounts::counts() const {
  std::vector<std::pair<int, std::uint64_t>> result;
  for (std::size_t i = 0; i < counts_.size(); ++i)
    result.emplace_back(i < kCodes.size() ? kCodes[i] : 0, counts_[i].load(std::memory_order_relaxed));
  return result;
}

}  // namespace farol::http
