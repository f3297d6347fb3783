#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace farol::proxyctl {

/// The last `most` decisions of an API answer, as the API tells them: the newest first. `backend` leaves only those that
/// chose it ("address:port"; empty: all). Pure.
nlohmann::json last_decisions(const nlohmann::json& answer, int most, const std::string& backend);

/// What `proxyctl explain` prints of them: the newest last, each with its candidates and the parts of their scores. Pure.
std::string decision_table(const nlohmann::json& answer, int most, const std::string& backend);

}  // namespace farol::proxyctl
