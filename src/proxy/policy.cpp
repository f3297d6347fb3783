#include "proxy/policy.hpp"

#include <limits>
#include <utility>

#include "proxy/score.hpp"

namespace farol::proxy {
namespace {

/// The figure by which candidates are compared: the score, and among the saturated the sum behind it.
std::pair<double, double> rank(const Candidate& candidate) {
  return {candidate.score, candidate.score < kSaturatedScore ? 0 : candidate.unsaturated};
}

double tie_width(Policy policy) {
  switch (policy) {
    case Policy::weighted: return kTie;
    case Policy::report: return 0;
    case Policy::round_robin: return std::numeric_limits<double>::infinity();
  }
  return 0;
}

}  // namespace

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::weighted: return "weighted";
    case Policy::report: return "report";
    case Policy::round_robin: return "round-robin";
  }
  return "?";
}

std::optional<std::size_t> choose(std::span<const Candidate> candidates, Policy policy) {
  if (candidates.empty()) return std::nullopt;
  auto best = rank(candidates[0]);
  for (const Candidate& candidate : candidates) best = std::min(best, rank(candidate));
  const double tie = tie_width(policy);
  std::optional<std::size_t> chosen;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto [score, unsaturated] = rank(candidates[i]);
    if (score > best.first + tie || unsaturated > best.second + tie) continue;
    if (!chosen || candidates[i].chosen_at < candidates[*chosen].chosen_at) chosen = i;
  }
  return chosen;
}

}  // namespace farol::proxy
