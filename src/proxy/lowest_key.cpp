#include "proxy/lowest_key.hpp"

#include <algorithm>
#include <cstring>

namespace farol::proxy {
namespace {

/// Two doubles that the compiler handles as one on every x86-64 and ARMv8 (a GCC and Clang extension). Its own
/// vectoriser does not help: a minimum of doubles may not be reordered without -ffast-math.
using Vector = double __attribute__((vector_size(16)));
using Mask = std::int64_t __attribute__((vector_size(16)));
constexpr std::size_t kWidth = 2;
constexpr std::size_t kStep = 4 * kWidth;  ///< four independent vectors, so that none waits for the last

Vector load(const double* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
Vector lesser(Vector a, Vector b) { return a < b ? a : b; }
Vector greater(Vector a, Vector b) { return a > b ? a : b; }
bool any(Mask mask) { return (mask[0] | mask[1]) != 0; }

/// The two lowest so far, in each lane.
struct LowestTwo {
  Vector first{kNotNow, kNotNow}, second{kNotNow, kNotNow};
  void add(Vector keys) {
    second = lesser(second, greater(first, keys));
    first = lesser(first, keys);
  }
  void add(const LowestTwo& other) {
    add(other.first);
    second = lesser(second, other.second);
  }
};

LowestTwo lowest_two(const double* keys, std::size_t size) {
  LowestTwo lanes[kStep / kWidth];
  std::size_t i = 0;
  for (; i + kStep <= size; i += kStep)
    for (std::size_t lane = 0; lane < kStep / kWidth; ++lane) lanes[lane].add(load(keys + i + lane * kWidth));
  for (; i < size; ++i) lanes[0].add(Vector{keys[i], kNotNow});
  lanes[0].add(lanes[1]);
  lanes[2].add(lanes[3]);
  lanes[0].add(lanes[2]);
  const LowestTwo& all = lanes[0];
  LowestTwo result = all;  // across the lanes of one vector
  result.add(LowestTwo{Vector{all.first[1], all.first[0]}, Vector{all.second[1], all.second[0]}});
  return result;
}

/// The least recently chosen of those within the limit. Most steps hold none and cost a comparison.
std::size_t oldest_within(const Candidates& candidates, double limit) {
  const double* keys = candidates.key.data();
  const std::uint64_t* chosen_at = candidates.chosen_at.data();
  const std::size_t size = candidates.key.size();
  const Vector limits{limit, limit};
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  std::size_t chosen = 0;
  const auto consider = [&](std::size_t i) {
    const std::uint64_t at = keys[i] <= limit ? chosen_at[i] : std::numeric_limits<std::uint64_t>::max();
    chosen = at < oldest ? i : chosen;
    oldest = std::min(oldest, at);
  };
  std::size_t i = 0;
  for (; i + kStep <= size; i += kStep) {
    Mask within{};
    for (std::size_t lane = 0; lane < kStep; lane += kWidth) within |= load(keys + i + lane) <= limits;
    if (!any(within)) continue;
    for (std::size_t k = i; k < i + kStep; ++k) consider(k);
  }
  for (; i < size; ++i) consider(i);
  return chosen;
}

}  // namespace

std::optional<Pick> pick_lowest(const Candidates& candidates, double tie) {
  const LowestTwo lowest = lowest_two(candidates.key.data(), candidates.key.size());
  const double first = lowest.first[0];
  if (first == kNotNow) return std::nullopt;
  const std::size_t chosen = oldest_within(candidates, first + tie);
  return Pick{chosen, candidates.key[chosen] == first ? lowest.second[0] : first};
}

}  // namespace farol::proxy
