#include "proxyctl/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proxyctl/admin_client.hpp"

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

std::string aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows[0].size(), 0);
  for (const Row& each : rows)
    for (std::size_t i = 0; i < each.size(); ++i) widths[i] = std::max(widths[i], each[i].size());
  std::string out;
  for (const Row& each : rows) {
    for (std::size_t i = 0; i < each.size(); ++i) {
      if (i > 0) out += "  ";
      out += i < left ? fmt::format("{:<{}}", each[i], widths[i]) : fmt::format("{:>{}}", each[i], widths[i]);
    }
    out += '\n';
  }
  return out;
}

}  // namespace farol::proxyctl
