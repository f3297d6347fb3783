#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace farol::proxyctl {

/// The last `most` decisions of an API answer, as the API tells them: the newest first. `backend` leaves only those that
/// chose it, passed it over or left it out ("address:port", "/pool" may stand behind it; empty: all). Pure.
nlohmann::json last_decisions(const nlohmann::json& answer, int most, const std::string& backend);

/// What `proxyctl explain` prints of them: the newest last, each with its candidates and the parts of their scores, and
/// why it was not `backend`. Pure.
std::string decision_table(const nlohmann::json& answer, int most, const std::string& backend);

/// A status has a back-end of that name. Pure.
bool has_backend(const nlohmann::json& status, const std::string& backend);

}  // namespace farol::proxyctl
