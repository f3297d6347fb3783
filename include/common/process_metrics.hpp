#pragma once

#include <chrono>
#include <string>

#include "common/clock.hpp"
#include "common/metrics_page.hpp"
#include "common/process_figures.hpp"

namespace farol {

/// What every program tells of its process: families called `prefix` and what they are. Pure.
void add_process_metrics(MetricsPage& page, const std::string& prefix, const ProcessFigures& process,
                         std::chrono::system_clock::time_point started, Duration uptime);

}  // namespace farol
