#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "proxy/status.hpp"

namespace farol::proxy {

/// The body of GET /api/v1/status: one JSON object and a newline. Every key is always there; absent values are null.
/// Times are milliseconds (uptime_s: seconds), loss, cpu and memory are shares from 0 to 1. Pure.
std::string status_json(const ProxyStatus& status);

/// Of the same what is sent on with every change: the whole without its lists, and one back-end.
nlohmann::json summary_json(const ProxyStatus& status);
nlohmann::json backend_json(const BackendStatus& backend);

/// {"rtt": …, "tcp": …, …}, rounded.
nlohmann::json components_json(const ScoreComponents& components);
/// Three decimals: what a reader can use, and no "0.30000000000000004".
double rounded(double value);

}  // namespace farol::proxy
