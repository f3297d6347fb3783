#include "proxyctl/decision_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr std::size_t kLeftAligned = 2;  // the mark and BACKEND
const Row kHeader = {"", "BACKEND", "SCORE", "RTT", "TCP", "LOSS", "CPU", "MEM", "DOUBT", "ACTIVE", "BUSY"};

Row row(const json& candidate, const json& chosen) {
  const json address = at(candidate, "/address");
  Row cells = {address.is_string() && address == chosen ? "*" : "", words(address),
               decimal(at(candidate, "/score"), 3)};
  for (const char* part : {"/components/rtt", "/components/tcp", "/components/loss", "/components/cpu",
                           "/components/memory", "/components/doubt"})
    cells.push_back(decimal(at(candidate, part), 3));
  cells.push_back(count(at(candidate, "/connections/active")));
  cells.push_back(count(at(candidate, "/connections/busy")));
  return cells;
}

std::string one(const json& decision) {
  const json age = at(decision, "/age_ms");
  std::string out = fmt::format("#{} {} s ago: pool {}, {}, {} candidates\n", count(at(decision, "/number")),
                                age.is_number() ? fmt::format("{:.1f}", age.get<double>() / 1000) : "-",
                                words(at(decision, "/pool")), words(at(decision, "/policy")),
                                count(at(decision, "/candidates")));
  std::vector<Row> rows = {kHeader};
  if (const json considered = at(decision, "/considered"); considered.is_array())
    for (const json& candidate : considered) rows.push_back(row(candidate, at(decision, "/chosen")));
  return out + aligned(rows, kLeftAligned);
}

}  // namespace

std::string decision_table(const json& answer, int most, const std::string& backend) {
  std::vector<std::string> shown;
  if (const json decisions = at(answer, "/decisions"); decisions.is_array())
    for (const json& decision : decisions) {
      if (static_cast<int>(shown.size()) == most) break;
      if (backend.empty() || at(decision, "/chosen") == backend) shown.push_back(one(decision));
    }
  if (shown.empty()) return "no decisions yet\n";
  std::reverse(shown.begin(), shown.end());
  std::string out;
  for (const std::string& each : shown) out += (out.empty() ? "" : "\n") + each;
  return out;
}

}  // namespace farol::proxyctl
