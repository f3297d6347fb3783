#include "proxy/kept_decisions.hpp"

#include <algorithm>
#include <utility>

namespace farol::proxy {

bool KeptDecisions::wants(Reason reason, TimePoint now) {
  Ring& ring = ring_of(reason);
  const auto most = static_cast<double>(is_usual(reason) ? kUsual : kRare);
  const double earned = to_seconds(now - ring.asked) * (is_usual(reason) ? kUsualPerSecond : kRarePerSecond);
  ring.spent = std::max(0.0, ring.spent - std::max(0.0, earned));
  ring.asked = now;
  if (ring.spent > most - 1) return false;
  ++ring.spent;
  return true;
}

void KeptDecisions::keep(Decision decision) {
  const std::size_t most = is_usual(decision.reason) ? kUsual : kRare;
  Ring& ring = ring_of(decision.reason);
  if (ring.kept.size() < most)
    ring.kept.push_back(std::move(decision));
  else
    ring.kept[ring.count % most] = std::move(decision);
  ++ring.count;
}

std::vector<Decision> KeptDecisions::newest_first() const {
  std::vector<Decision> all;
  for (const Ring& ring : rings_) all.insert(all.end(), ring.kept.begin(), ring.kept.end());
  std::sort(all.begin(), all.end(), [](const Decision& a, const Decision& b) { return a.number > b.number; });
  return all;
}

}  // namespace farol::proxy
