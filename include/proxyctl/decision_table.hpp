#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace farol::proxyctl {

/// What `proxyctl explain` prints: the last `most` decisions of an API answer, the newest last, each with its candidates
/// and the parts of their scores. `backend` leaves only those that chose it ("address:port"; empty: all). Pure.
std::string decision_table(const nlohmann::json& answer, int most, const std::string& backend);

}  // namespace farol::proxyctl
