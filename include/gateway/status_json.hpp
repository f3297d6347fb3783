#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "gateway/status.hpp"

namespace farol::gateway {

/// The body of GET /api/v1/status: one JSON object and a newline. Names and paths may hold any byte, what is no UTF-8
/// is replaced. Pure.
std::string status_json(const GatewayStatus& status);

/// The same without the servers, and one of them.
nlohmann::json summary_json(const GatewayStatus& status);
nlohmann::json server_json(const ServerStatus& server);

}  // namespace farol::gateway
