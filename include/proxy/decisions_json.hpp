#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "proxy/decision.hpp"

namespace farol::proxy {

/// The body of GET /api/v1/decisions: {"decisions": […]}, the newest first, and a newline. Pure.
std::string decisions_json(const std::vector<Decision>& decisions, TimePoint now);

/// One of them, without its age. Pure.
nlohmann::json decision_json(const Decision& decision);

}  // namespace farol::proxy
