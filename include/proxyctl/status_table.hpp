#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace farol::proxyctl {

/// What `proxyctl status` prints: a headline and an aligned table of the back-ends, from the body of GET
/// /api/v1/status. Pure. Values that are null or missing are shown as "-"; control bytes, which the names of others may
/// hold, as "?", so that nothing they say reaches the terminal.
std::string status_table(const nlohmann::json& status);

/// Its first line, without the newline: version, readiness, uptime, engine and policy. Pure.
std::string program_line(const nlohmann::json& status);

}  // namespace farol::proxyctl
