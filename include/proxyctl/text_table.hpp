#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace farol::proxyctl {

/// JSON from a proxy as cells of a table on the terminal. What is not there, or is not what it should be, is "-". Pure.

using Row = std::vector<std::string>;

/// The value at a path like "/rtt_ms/sample"; null when there is none.
nlohmann::json at(const nlohmann::json& object, const char* path);
/// Text, printable.
std::string words(const nlohmann::json& value);
/// A whole number.
std::string count(const nlohmann::json& value);
std::string decimal(const nlohmann::json& value, int places);
/// A share as "17%".
std::string percent(const nlohmann::json& value);
/// A time as "0.4s", "1m01s", "3h07m", "2d05h", of a number of such units.
std::string span(const nlohmann::json& value, double unit_s);
/// "1.5 MiB".
std::string bytes(const nlohmann::json& value);
/// "12 rejected (limit 2, no_backend 10)" for a {reason: number}.
std::string total_by_reason(const nlohmann::json& counters, const char* verb);

/// Rows of equal length in columns: the first `left` aligned to the left, the rest to the right.
std::string aligned(const std::vector<Row>& rows, std::size_t left);

}  // namespace farol::proxyctl
