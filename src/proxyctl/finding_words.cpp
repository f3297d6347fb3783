#include "proxyctl/finding_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {

using nlohmann::json;

std::string ago(const json& milliseconds) {
  if (!milliseconds.is_number()) return "some time";
  const double seconds = std::max(milliseconds.get<double>(), 0.0) / 1000;
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 2 * 86'400) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86'400);
}

Severity by_age(const json& milliseconds, Severity at_once) {
  constexpr double kNow = 60'000, kLately = 600'000;
  if (!milliseconds.is_number() || milliseconds.get<double>() > kLately) return Severity::note;
  return milliseconds.get<double>() > kNow && at_once == Severity::error ? Severity::warning : at_once;
}

double number(const json& object, const char* path) {
  const json value = at(object, path);
  return value.is_number() ? value.get<double>() : 0;
}

json list(const json& object, const char* path) {
  json value = at(object, path);
  return value.is_array() ? value : json::array();
}

std::string host_of(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  const bool bracketed = host.size() > 1 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

std::string port_of(const std::string& address) {
  const auto colon = address.rfind(':');
  return colon == std::string::npos ? address : address.substr(colon + 1);
}

std::string udp_port(const json& status) {
  const std::string port = port_of(words(at(status, "/monitoring/address")));
  return port == "-" ? "5555" : port;
}

bool is_served(const json& status, const json& pool) {
  const json listeners = list(status, "/listeners");
  return listeners.empty() || std::any_of(listeners.begin(), listeners.end(),
                                          [&](const json& each) { return at(each, "/pool") == pool; });
}

std::string name_of(const json& status, const json& row) {
  const std::string address = words(at(row, "/address"));
  return list(status, "/pools").size() > 1 ? address + "/" + words(at(row, "/pool")) : address;
}

std::string policy_of(const json& status, const json& pool) {
  for (const json& each : list(status, "/pools"))
    if (at(each, "/name") == pool) return words(at(each, "/policy"));
  return {};
}

}  // namespace farol::proxyctl
