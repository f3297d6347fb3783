#pragma once

#include <nlohmann/json_fwd.hpp>

#include "proxyctl/finding.hpp"

namespace farol::proxyctl {

/// Of agents that do not get in: nobody registers, somebody registers and does not answer, datagrams are dropped.
void add_monitoring_findings(const nlohmann::json& status, Findings& findings);

}  // namespace farol::proxyctl
