#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace farol {

/// A value as JSON text, in one line. What others named (a pool, a server, a file) may hold any byte and a JSON text
/// may not: what is no UTF-8 is replaced. Pure.
std::string json_text(const nlohmann::json& value);

}  // namespace farol
