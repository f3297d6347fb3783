#include "proxyctl/status_table.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "proxyctl/finding_words.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr std::size_t kLeftAligned = 3;  // BACKEND, POOL, STATE; the rest are numbers
const Row kHeader = {"BACKEND", "POOL", "STATE", "SCORE",  "RTT(ms)", "LOSS",  "TCP",
                     "CPU",     "MEM",  "AGE",   "ACTIVE", "TOTAL",   "FAILED"};

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
  std::string out = program_line(status) + "\n";
  out += fmt::format("connections: {} active, {} in total, {}; bytes: {} in, {} out\n",
                     count(at(status, "/connections/active")), count(at(status, "/connections/total")),
                     total_by_reason(at(status, "/connections/rejected"), "rejected"), bytes(at(status, "/bytes/in")),
                     bytes(at(status, "/bytes/out")));
  const std::string dropped = total_by_reason(at(status, "/monitoring/dropped"), "dropped");
  if (dropped.find('(') != std::string::npos) out += "monitoring packets: " + dropped + "\n";
  return out;
}

/// Pools whose back-ends look well and get no client.
std::string unserved(const json& status) {
  std::set<std::string> pools;
  for (const json& row : list(status, "/backends"))
    if (!at(row, "/leaving").is_string() && !is_served(status, at(row, "/pool"))) pools.insert(words(at(row, "/pool")));
  std::string out;
  for (const std::string& pool : pools)
    out += "\nno --listen serves pool " + pool + " (proxyctl check says what to do)\n";
  return out;
}

}  // namespace

std::string program_line(const json& status) {
  const bool draining = at(status, "/draining") == true;
  const char* const state = draining ? "draining" : at(status, "/ready") == true ? "ready" : "not ready";
  return fmt::format("Farol {}, {}, up {}, engine {}, policy {}", words(at(status, "/version")), state,
                     span(at(status, "/uptime_s"), 1), words(at(status, "/engine")), words(at(status, "/policy")));
}

std::string status_table(const json& status) {
  std::vector<Row> rows = {kHeader};
  const json backends = at(status, "/backends");
  if (!backends.is_array() || backends.empty()) return headline(status) + "no back-ends\n";
  for (const json& backend : backends) rows.push_back(row(backend));
  return headline(status) + "\n" + aligned(rows, kLeftAligned) + unserved(status);
}

}  // namespace farol::proxyctl
