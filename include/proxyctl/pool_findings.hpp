#pragma once

#include <nlohmann/json_fwd.hpp>

#include "proxyctl/finding.hpp"

namespace farol::proxyctl {

/// Of pools in which nobody serves, and of back-ends in a pool to which no listener sends clients.
void add_pool_findings(const nlohmann::json& status, Findings& findings);

}  // namespace farol::proxyctl
