#include "proxyctl/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "proxyctl/terminal_text.hpp"

namespace farol::proxyctl {

using nlohmann::json;

json at(const json& object, const char* path) {
  const json::json_pointer pointer(path);
  return object.contains(pointer) ? object.at(pointer) : json();
}

std::string words(const json& value) {
  if (!value.is_string()) return "-";
  const std::string text = printable(value.get<std::string>());
  return text.empty() ? "-" : text;
}

std::string count(const json& value) {
  return value.is_number() ? fmt::format("{:.0f}", value.get<double>()) : "-";
}

std::string decimal(const json& value, int places) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), places) : "-";
}

std::string percent(const json& value) {
  return value.is_number() ? fmt::format("{:.0f}%", value.get<double>() * 100) : "-";
}

std::string span(const json& value, double unit_s) {
  if (!value.is_number()) return "-";
  const double seconds = value.get<double>() * unit_s;
  if (seconds < 60) return fmt::format("{:.1f}s", seconds);
  const auto minutes = static_cast<std::uint64_t>(std::min(seconds, 1e12) / 60);
  if (minutes < 60) return fmt::format("{}m{:02}s", minutes, static_cast<std::uint64_t>(seconds) % 60);
  if (minutes < 24 * 60) return fmt::format("{}h{:02}m", minutes / 60, minutes % 60);
  return fmt::format("{}d{:02}h", minutes / (24 * 60), minutes / 60 % 24);
}

std::string bytes(const json& value) {
  if (!value.is_number()) return "-";
  constexpr std::array<const char*, 6> units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double amount = value.get<double>();
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < units.size(); ++unit) amount /= 1024;
  return fmt::format("{:.{}f} {}", amount, unit == 0 ? 0 : 1, units[unit]);
}

std::string total_by_reason(const json& counters, const char* verb) {
  double total = 0;
  std::string reasons;
  if (!counters.is_object()) return std::string("- ") + verb;
  for (const auto& [reason, number] : counters.items()) {
    if (!number.is_number() || number.get<double>() == 0) continue;
    total += number.get<double>();
    reasons += (reasons.empty() ? "" : ", ") + words(reason) + " " + count(number);
  }
  return fmt::format("{:.0f} {}", total, verb) + (reasons.empty() ? "" : " (" + reasons + ")");
}

std::string aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows[0].size(), 0);
  for (const Row& each : rows)
    for (std::size_t i = 0; i < each.size(); ++i) widths[i] = std::max(widths[i], columns(each[i]));
  std::string out;
  for (const Row& each : rows) {
    for (std::size_t i = 0; i < each.size(); ++i) {
      if (i > 0) out += "  ";
      out += fitted(each[i], widths[i], i < left ? Align::left : Align::right);
    }
    out += '\n';
  }
  return out;
}

}  // namespace farol::proxyctl
