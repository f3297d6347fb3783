#include "proxyctl/top_view.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "proxyctl/status_table.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

std::optional<double> number(const json& object, const char* path) {
  const json value = at(object, path);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

/// How much a counter grew in a second.
std::optional<double> rate(std::optional<double> now, std::optional<double> before, std::optional<double> seconds) {
  if (!now || !before || !seconds || *now < *before) return std::nullopt;
  return (*now - *before) / *seconds;
}

std::optional<double> seconds_between(const json& status, const json& before) {
  const auto now = number(status, "/uptime_s"), then = number(before, "/uptime_s");
  return now && then && *now > *then ? std::optional(*now - *then) : std::nullopt;
}

std::string id_of(const json& row) {
  const json address = at(row, "/address"), pool = at(row, "/pool");
  return (address.is_string() ? address.get<std::string>() : "") + "/" + (pool.is_string() ? pool.get<std::string>() : "");
}

std::map<std::string, double> totals(const json& status) {
  std::map<std::string, double> result;
  if (const json rows = at(status, "/backends"); rows.is_array())
    for (const json& row : rows)
      if (const auto total = number(row, "/connections/total")) result[id_of(row)] = *total;
  return result;
}

TopRow top_row(const json& row, const std::map<std::string, double>& before, std::optional<double> seconds) {
  TopRow result;
  result.id = id_of(row);
  result.backend = words(at(row, "/address"));
  result.pool = words(at(row, "/pool"));
  result.state = words(at(row, "/state"));
  result.score = number(row, "/score");
  for (std::size_t i = 0; i < kParts.size(); ++i)
    result.parts[i] = number(row, (std::string("/components/") + kParts[i]).c_str()).value_or(0);
  result.rtt_ms = number(row, "/rtt_ms/sample");
  result.loss = number(row, "/loss");
  result.tcp = number(row, "/tcp");
  result.cpu = number(row, "/cpu");
  result.memory = number(row, "/memory");
  result.age_ms = number(row, "/report_age_ms");
  result.active = number(row, "/connections/active");
  const auto known = before.find(result.id);
  if (known != before.end()) result.rate = rate(number(row, "/connections/total"), known->second, seconds);
  return result;
}

std::string per_second(const json& status, const json& before, const char* path, std::optional<double> seconds) {
  const auto grown = rate(number(status, path), number(before, path), seconds);
  return grown ? fmt::format("{:.1f}", *grown) : "-";
}

std::string bytes_per_second(const json& status, const json& before, const char* path, std::optional<double> seconds) {
  const auto grown = rate(number(status, path), number(before, path), seconds);
  return bytes(grown ? json(*grown) : json());
}

std::vector<std::string> headlines(const json& status, const json& before, std::optional<double> seconds) {
  return {program_line(status),
          fmt::format("connections: {} active, {} in total, {}/s; bytes/s: {} in, {} out",
                      count(at(status, "/connections/active")), count(at(status, "/connections/total")),
                      per_second(status, before, "/connections/total", seconds),
                      bytes_per_second(status, before, "/bytes/in", seconds),
                      bytes_per_second(status, before, "/bytes/out", seconds)),
          fmt::format("clients: {} waiting, {}", count(at(status, "/connections/waiting")),
                      total_by_reason(at(status, "/connections/rejected"), "rejected"))};
}

}  // namespace

TopView top_view(const json& status, const json& before) {
  const auto seconds = seconds_between(status, before);
  TopView view;
  view.headlines = headlines(status, before, seconds);
  const auto known = totals(before);
  if (const json rows = at(status, "/backends"); rows.is_array())
    for (const json& row : rows)
      if (row.is_object()) view.rows.push_back(top_row(row, known, seconds));
  return view;
}

}  // namespace farol::proxyctl
