#include "proxy/decisions_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using nlohmann::json;

json candidate_json(const Explained& candidate) {
  return {{"address", candidate.address.text()},
          {"verdict", to_string(candidate.verdict)},
          {"state", to_string(candidate.state)},
          {"score", rounded(candidate.score)},
          {"components", components_json(candidate.components)},
          {"rtt_ms", rounded(candidate.rtt_ms)},
          {"tcp", candidate.tcp},
          {"cpu", candidate.cpu / 100.0},
          {"memory", candidate.memory / 100.0},
          {"report_age_ms", candidate.report_age ? json(std::round(to_ms(*candidate.report_age))) : json()},
          {"slow_start", candidate.ramp < 1 ? json(rounded(candidate.ramp)) : json()},
          {"connections", {{"active", candidate.open}, {"busy", candidate.busy}}}};
}

}  // namespace

json decision_json(const Decision& decision) {
  json verdicts = json::object();
  for (std::size_t i = 0; i < kVerdicts; ++i)
    if (decision.verdicts[i] > 0) verdicts[to_string(static_cast<Verdict>(i))] = decision.verdicts[i];
  json considered = json::array();
  for (const Explained& candidate : decision.considered) considered.push_back(candidate_json(candidate));
  return {{"number", decision.number},
          {"pool", decision.pool},
          {"policy", to_string(decision.policy)},
          {"chosen", decision.chosen == Address() ? json() : json(decision.chosen.text())},
          {"reason", to_string(decision.reason)},
          {"candidates", decision.candidates},
          {"verdicts", std::move(verdicts)},
          {"considered", std::move(considered)}};
}

std::string decisions_json(const std::vector<Decision>& decisions, TimePoint now) {
  json all = json::array();
  for (const Decision& decision : decisions) {
    all.push_back(decision_json(decision));
    all.back()["age_ms"] = rounded(to_ms(now - decision.at));
  }
  return json_text({{"decisions", std::move(all)}}) + "\n";
}

}  // namespace farol::proxy
