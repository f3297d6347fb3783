#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace farol::proxyctl {

/// What `proxyctl check` finds: rules from the body of GET /api/v1/status to findings. All of it is pure and believes
/// nothing: what is missing, or is not what it should be, is not judged. Texts are printable.

enum class Severity {
  error,    ///< somebody is not served, or a back-end is lost for want of something
  warning,  ///< it works, and will not for ever, or not as meant
  note,     ///< to be known; nothing is wrong
};
const char* to_string(Severity severity);

struct Finding {
  Severity severity = Severity::note;
  std::string rule;     ///< its name for programs: "agent-silent"
  std::string backend;  ///< "10.1.1.7:80", with "/pool" where there are several; empty: the whole
  std::string seen, advice;
};
using Findings = std::vector<Finding>;

/// Everything there is to say, worst first.
Findings find_trouble(const nlohmann::json& status);

std::size_t count(const Findings& findings, Severity severity);

/// For people: a paragraph each, and a line that says how it stands. No more than ten of a rule.
std::string findings_text(const nlohmann::json& status, const Findings& findings);
/// For programs: {"errors", "warnings", "findings": [{"severity", "rule", "backend", "seen", "advice"}]}.
nlohmann::json findings_json(const Findings& findings);

}  // namespace farol::proxyctl
