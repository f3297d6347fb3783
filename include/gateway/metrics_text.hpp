#pragma once

#include <string>

#include "common/process_figures.hpp"
#include "gateway/status.hpp"

namespace farol::gateway {

/// The body of GET /metrics, in Prometheus' text format; docs/METRICS.md explains each. Pure.
std::string metrics_text(const GatewayStatus& status, const ProcessFigures& process);

}  // namespace farol::gateway
