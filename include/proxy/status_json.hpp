#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "proxy/status.hpp"

namespace farol::proxy {

/// The body of GET /api/v1/status: one JSON object and a newline. Every key is always there; absent values are null.
/// Times are milliseconds (uptime_s: seconds), loss, cpu and memory are shares from 0 to 1. Pure.
std::string status_json(const ProxyStatus& status);

/// {"rtt": …, "tcp": …, …}, rounded.
nlohmann::json components_json(const ScoreComponents& components);
/// Three decimals: what a reader can use, and no "0.30000000000000004".
double rounded(double value);

}  // namespace farol::proxy
