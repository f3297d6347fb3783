#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace farol::proxy {

/// Who gets the next connection.
enum class Policy {
  weighted,     ///< lowest score; among scores within kTie the least recently chosen
  report,       ///< the report's rule to the letter: lowest score wins; silent back-ends are left out
  round_robin,  ///< the least recently chosen
};

std::string_view to_string(Policy policy);

/// Scores closer than this are equal for `weighted`: half a connection, or 3 % of CPU.
inline constexpr double kTie = 0.015;

/// One eligible back-end, as a policy sees it.
struct Candidate {
  double score = 0;         ///< the report's value, 100 when saturated
  double unsaturated = 0;   ///< the sum before the thresholds: orders the saturated, so there is always a best one
  std::uint64_t chosen_at = 0;  ///< a counter, larger = more recently chosen; 0 = never
};

/// The index of the chosen candidate; empty only when there is none. Pure.
std::optional<std::size_t> choose(std::span<const Candidate> candidates, Policy policy);

}  // namespace farol::proxy
