#pragma once

#include <string>

#include "common/process_figures.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// The body of GET /metrics (docs/METRICS.md): everything in the status, and what the process takes. A value that is not
/// known has no sample. Pure.
std::string metrics_text(const ProxyStatus& status, const ProcessFigures& process);

}  // namespace farol::proxy
