#pragma once

#include <nlohmann/json_fwd.hpp>

#include "proxyctl/finding.hpp"

namespace farol::proxyctl {

/// Of each back-end that gets no connections, or not as it should.
void add_backend_findings(const nlohmann::json& status, Findings& findings);

}  // namespace farol::proxyctl
