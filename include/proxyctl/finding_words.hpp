#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "proxyctl/finding.hpp"

namespace farol::proxyctl {

/// What the rules of `proxyctl check` read and write alike. Pure.

/// "3 s", "5 min", "2 h", "4 days" of milliseconds; "some time" when it is no number.
std::string ago(const nlohmann::json& milliseconds);
/// What happened a moment ago is what is wrong; what happened long ago may be put right: an error of the last minute is
/// a warning for ten, and then a note. What has no age is old.
Severity by_age(const nlohmann::json& milliseconds, Severity at_once);
/// The number at a path, 0 when there is none.
double number(const nlohmann::json& object, const char* path);
/// A list, or an empty one.
nlohmann::json list(const nlohmann::json& object, const char* path);
/// "10.1.1.7" of "10.1.1.7:80", "fd00::1" of "[fd00::1]:80"; and what is behind the last colon.
std::string host_of(const std::string& address);
std::string port_of(const std::string& address);
/// Where agents register: the number alone.
std::string udp_port(const nlohmann::json& status);
/// The policy of a pool; empty when it is not told.
std::string policy_of(const nlohmann::json& status, const nlohmann::json& pool);
/// A listener sends clients to it. True when the listeners are not told.
bool is_served(const nlohmann::json& status, const nlohmann::json& pool);
/// A row as it is called on the command line: with its pool where there are several.
std::string name_of(const nlohmann::json& status, const nlohmann::json& row);

}  // namespace farol::proxyctl
