#pragma once

#include <nlohmann/json_fwd.hpp>

#include "proxyctl/finding.hpp"

namespace farol::proxyctl {

/// Of limits that are too low, by what they are and by who was turned away, and of the proxy itself.
void add_limit_findings(const nlohmann::json& status, Findings& findings);

}  // namespace farol::proxyctl
