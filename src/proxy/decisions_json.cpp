#include "proxy/decisions_json.hpp"

#include <nlohmann/json.hpp>

#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using nlohmann::json;

json candidate_json(const Explained& candidate) {
  return {{"address", candidate.address.text()},
          {"score", rounded(candidate.score)},
          {"components", components_json(candidate.components)},
          {"rtt_ms", rounded(candidate.rtt_ms)},
          {"tcp", candidate.tcp},
          {"cpu", candidate.cpu / 100.0},
          {"memory", candidate.memory / 100.0},
          {"connections", {{"active", candidate.open}, {"busy", candidate.busy}}}};
}

}  // namespace

std::string decisions_json(const std::vector<Decision>& decisions, TimePoint now) {
  json all = json::array();
  for (const Decision& decision : decisions) {
    json considered = json::array();
    for (const Explained& candidate : decision.considered) considered.push_back(candidate_json(candidate));
    all.push_back({{"number", decision.number},
                   {"age_ms", rounded(to_ms(now - decision.at))},
                   {"pool", decision.pool},
                   {"policy", to_string(decision.policy)},
                   {"chosen", decision.chosen.text()},
                   {"candidates", decision.candidates},
                   {"considered", std::move(considered)}});
  }
  return json{{"decisions", std::move(all)}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace farol::proxy
