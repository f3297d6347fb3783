#include "proxy/lowest_key.hpp"

#include <algorithm>
#include <array>

namespace farol::proxy {
namespace {

constexpr std::size_t kLanes = 4;  ///< independent minima, so that one comparison need not wait for the last

struct LowestTwo {
  double first = kNotNow, second = kNotNow;
  void add(double key) {
    second = std::min(second, std::max(first, key));
    first = std::min(first, key);
  }
};

LowestTwo lowest_two(std::span<const double> keys) {
  std::array<LowestTwo, kLanes> lanes;
  std::size_t i = 0;
  for (; i + kLanes <= keys.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane].add(keys.data()[i + lane]);
  for (; i < keys.size(); ++i) lanes[0].add(keys.data()[i]);
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    lanes[0].add(lanes[lane].first);
    lanes[0].add(lanes[lane].second);
  }
  return lanes[0];
}

}  // namespace

std::optional<Pick> pick_lowest(const Candidates& candidates, double tie) {
  const LowestTwo lowest = lowest_two(candidates.key);
  if (lowest.first == kNotNow) return std::nullopt;
  const double limit = lowest.first + tie;
  const double* key = candidates.key.data();
  const std::uint64_t* chosen_at = candidates.chosen_at.data();
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    const std::uint64_t at = key[i] <= limit ? chosen_at[i] : std::numeric_limits<std::uint64_t>::max();
    chosen = at < oldest ? i : chosen;
    oldest = std::min(oldest, at);
  }
  return Pick{chosen, key[chosen] == lowest.first ? lowest.second : lowest.first};
}

}  // namespace farol::proxy
