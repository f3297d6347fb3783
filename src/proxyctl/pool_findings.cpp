#include "proxyctl/pool_findings.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "proxyctl/finding_words.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

/// The back-ends of a pool that a listener serves.
struct Tally {
  std::map<std::string, int> states;
  int all = 0, serve = 0;
  int left = 0;     ///< that go for good
  int ordered = 0;  ///< out by the operator's order
  int drained = 0;  ///< out by the agent's wish
};

void add(Tally& tally, const json& row, bool report) {
  const std::string state = words(at(row, "/state"));
  const bool leaving = at(row, "/leaving").is_string(), out = state == "drain" || state == "maint";
  const json order = at(row, "/ordered");
  const bool ordered = order == "drain" || order == "maint";
  ++tally.states[leaving ? "leaving" : state];
  ++tally.all;
  tally.serve += state == "up" || (state == "stale" && !report) ? 1 : 0;
  tally.left += leaving ? 1 : 0;
  tally.ordered += !leaving && out && ordered ? 1 : 0;
  tally.drained += !leaving && out && !ordered ? 1 : 0;
}

std::string advice(const Tally& tally) {
  if (tally.left + tally.ordered + tally.drained < tally.all) return "see what is said of each";
  if (tally.ordered > 0) return "take one back: proxyctl ready ADDRESS:PORT";
  if (tally.drained > 0) return "take one back: USR1 to its agent, or restart the agent";
  return "start an agent for it again, or put a --backend back";
}

void add_tally(const std::string& pool, const Tally& tally, Findings& findings) {
  std::string told;
  for (const auto& [state, times] : tally.states)
    told += fmt::format("{}{} {}", told.empty() ? "" : ", ", times, state);
  const bool out = tally.left + tally.ordered + tally.drained == tally.all;
  findings.push_back({Severity::error, out ? "all-out-of-service" : "nobody-serves", "",
                      fmt::format("no back-end of pool {} gets connections: {}", pool, told), advice(tally)});
}

Finding unserved(const json& status, const json& row) {
  const std::string pool = words(at(row, "/pool"));
  const bool agent = at(row, "/agent").is_object(), hash = pool.starts_with('#');
  const std::string who = agent ? "its agent " + words(at(row, "/agent/address")) + " registers" : "it is configured";
  return {Severity::error, "pool-not-served", name_of(status, row),
          fmt::format("{} for pool {}{}, which no --listen serves: no client gets there", who, pool,
                      hash ? " (the hash of a name that this proxy does not know)" : ""),
          fmt::format("add ={} to a --listen, or correct {}", hash ? "NAME" : pool,
                      agent ? "the agent's --pool" : "pool= in its --backend")};
}

}  // namespace

void add_pool_findings(const json& status, Findings& findings) {
  std::map<std::string, Tally> served;
  const json rows = list(status, "/backends");
  for (const json& row : rows) {
    const json pool = at(row, "/pool");
    if (is_served(status, pool))
      add(served[words(pool)], row, policy_of(status, pool) == "report");
    else if (!at(row, "/leaving").is_string())
      findings.push_back(unserved(status, row));
  }
  for (const auto& [pool, tally] : served)
    if (tally.serve == 0) add_tally(pool, tally, findings);
  for (const json& each : list(status, "/pools")) {
    const json name = at(each, "/name");
    if (rows.empty() || served.count(words(name)) > 0 || !is_served(status, name)) continue;
    findings.push_back({Severity::warning, "empty-pool", "", "pool " + words(name) + " has no back-end",
                        "start an agent for it (monitorUDP ... --pool NAME), or take it out of --listen"});
  }
}

}  // namespace farol::proxyctl
