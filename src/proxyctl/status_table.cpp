#include "proxyctl/status_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr std::size_t kLeftAligned = 3;  // BACKEND, POOL, STATE; the rest are numbers
const Row kHeader = {"BACKEND", "POOL", "STATE", "SCORE",  "RTT(ms)", "LOSS",  "TCP",
                     "CPU",     "MEM",  "AGE",   "ACTIVE", "TOTAL",   "FAILED"};

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

/// "12 rejected (limit 2, no_backend 10)" for a {reason: number}.
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

Row row(const json& backend) {
  return {words(at(backend, "/address")),
          words(at(backend, "/pool")),
          words(at(backend, "/state")),
          decimal(at(backend, "/score"), 3),
          decimal(at(backend, "/rtt_ms/sample"), 1),
          percent(at(backend, "/loss")),
          count(at(backend, "/tcp")),
          percent(at(backend, "/cpu")),
          percent(at(backend, "/memory")),
          span(at(backend, "/report_age_ms"), 1e-3),
          count(at(backend, "/connections/active")),
          count(at(backend, "/connections/total")),
          count(at(backend, "/connections/failed"))};
}

std::string headline(const json& status) {
  const bool draining = at(status, "/draining") == true;
  const char* const state = draining ? "draining" : at(status, "/ready") == true ? "ready" : "not ready";
  std::string out =
      fmt::format("Farol {}, {}, up {}, engine {}, policy {}\n", words(at(status, "/version")), state,
                  span(at(status, "/uptime_s"), 1), words(at(status, "/engine")), words(at(status, "/policy")));
  out += fmt::format("connections: {} active, {} in total, {}; bytes: {} in, {} out\n",
                     count(at(status, "/connections/active")), count(at(status, "/connections/total")),
                     total_by_reason(at(status, "/connections/rejected"), "rejected"), bytes(at(status, "/bytes/in")),
                     bytes(at(status, "/bytes/out")));
  const std::string dropped = total_by_reason(at(status, "/monitoring/dropped"), "dropped");
  if (dropped.find('(') != std::string::npos) out += "monitoring packets: " + dropped + "\n";
  return out;
}

}  // namespace

std::string status_table(const json& status) {
  std::vector<Row> rows = {kHeader};
  const json backends = at(status, "/backends");
  if (!backends.is_array() || backends.empty()) return headline(status) + "no back-ends\n";
  for (const json& backend : backends) rows.push_back(row(backend));
  return headline(status) + "\n" + aligned(rows, kLeftAligned);
}

}  // namespace farol::proxyctl
