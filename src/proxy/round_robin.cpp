#include "proxy/round_robin.hpp"

namespace farol::proxy {

std::optional<Pick> pick_round_robin(const Candidates& candidates) {
  std::optional<std::size_t> chosen;
  double sum = 0;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    if (candidates.key[i] == kNotNow) continue;
    sum += candidates.share[i];
    candidates.credit[i] += candidates.share[i];
    if (!chosen || candidates.credit[i] > candidates.credit[*chosen]) chosen = i;
  }
  if (!chosen) return std::nullopt;
  candidates.credit[*chosen] -= sum;
  return Pick{*chosen, kNotNow};
}

}  // namespace farol::proxy
