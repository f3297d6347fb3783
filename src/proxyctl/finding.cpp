#include "proxyctl/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "proxyctl/backend_findings.hpp"
#include "proxyctl/finding_words.hpp"
#include "proxyctl/limit_findings.hpp"
#include "proxyctl/monitoring_findings.hpp"
#include "proxyctl/pool_findings.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr int kMostOfARule = 10;

std::string paragraph(const Finding& finding) {
  const std::string who = finding.backend.empty() ? "" : finding.backend + ": ";
  return fmt::format("{:<8} {}{} [{}]\n{:<8} -> {}\n", to_string(finding.severity), who, finding.seen, finding.rule, "",
                     finding.advice);
}

std::string verdict(const json& status, const Findings& findings) {
  const std::size_t errors = count(findings, Severity::error), warnings = count(findings, Severity::warning);
  if (errors + warnings > 0)
    return fmt::format("{} error{}, {} warning{}\n", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
  const json backends = list(status, "/backends");
  const auto up = std::count_if(backends.begin(), backends.end(), [](const json& row) { return at(row, "/state") == "up"; });
  return fmt::format("all is well: {} of {} back-ends are up, {} connections\n", up, backends.size(),
                     count(at(status, "/connections/active")));
}

}  // namespace

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::error: return "error";
    case Severity::warning: return "warning";
    case Severity::note: return "note";
  }
  return "?";
}

Findings find_trouble(const json& status) {
  Findings findings;
  add_monitoring_findings(status, findings);
  add_pool_findings(status, findings);
  add_backend_findings(status, findings);
  add_limit_findings(status, findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return findings;
}

std::size_t count(const Findings& findings, Severity severity) {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(),
                                                [&](const Finding& each) { return each.severity == severity; }));
}

std::string findings_text(const json& status, const Findings& findings) {
  std::map<std::string, int> told;
  std::string out;
  for (const Finding& each : findings)
    if (++told[each.rule] <= kMostOfARule) out += paragraph(each);
  for (const auto& [rule, times] : told)
    if (times > kMostOfARule) out += fmt::format("{} more of {} (--json has them all)\n", times - kMostOfARule, rule);
  return out + verdict(status, findings);
}

json findings_json(const Findings& findings) {
  json all = json::array();
  for (const Finding& each : findings)
    all.push_back({{"severity", to_string(each.severity)},
                   {"rule", each.rule},
                   {"backend", each.backend.empty() ? json() : json(each.backend)},
                   {"seen", each.seen},
                   {"advice", each.advice}});
  return {{"errors", count(findings, Severity::error)},
          {"warnings", count(findings, Severity::warning)},
          {"findings", std::move(all)}};
}

}  // namespace farol::proxyctl
