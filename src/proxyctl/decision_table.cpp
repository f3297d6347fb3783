#include "proxyctl/decision_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr std::size_t kLeftAligned = 2;  // BACKEND and VERDICT
const Row kHeader = {"BACKEND", "VERDICT", "SCORE", "RTT", "TCP", "LOSS", "CPU", "MEM", "DOUBT", "AGE(s)", "ACTIVE", "BUSY"};

/// The API's reasons in words; one that is not among them is shown as it is.
constexpr std::pair<std::string_view, std::string_view> kReasons[] = {
    {"last_resort", "a last resort: all look dead"},
    {"backup", "a backup: no primary one can be chosen"},
    {"retry", "the client had tried another before"},
    {"queued", "the client had waited for it"},
    {"lowest", "the lowest score"},
    {"turn", "its turn"},
    {"source", "by the client's address"},
    {"nobody", "nobody can be chosen"},
};

std::string reason(const json& decision) {
  const std::string name = words(at(decision, "/reason"));
  for (const auto& [known, meaning] : kReasons)
    if (name == known) return std::string(meaning);
  return name;
}

std::string verdict(const json& candidate) {
  std::string text = words(at(candidate, "/verdict"));
  std::replace(text.begin(), text.end(), '_', ' ');
  const json ramp = at(candidate, "/slow_start");
  return ramp.is_number() ? fmt::format("{}, slow start {:.0f}%", text, ramp.get<double>() * 100) : text;
}

Row row(const json& candidate) {
  Row cells = {words(at(candidate, "/address")), verdict(candidate), decimal(at(candidate, "/score"), 3)};
  for (const char* part : {"/components/rtt", "/components/tcp", "/components/loss", "/components/cpu",
                           "/components/memory", "/components/doubt"})
    cells.push_back(decimal(at(candidate, part), 3));
  const json age = at(candidate, "/report_age_ms");
  cells.push_back(age.is_number() ? fmt::format("{:.1f}", age.get<double>() / 1000) : "-");
  cells.push_back(count(at(candidate, "/connections/active")));
  cells.push_back(count(at(candidate, "/connections/busy")));
  return cells;
}

std::string left_out(const json& decision) {
  std::string out;
  const json verdicts = at(decision, "/verdicts");
  if (!verdicts.is_object()) return out;
  for (const auto& [name, number] : verdicts.items())
    if (name != "chosen" && name != "passed_over")
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count(number), words(name));
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

/// "; 2 could be chosen, 3 drain": of the whole pool, whom `considered` may have no room for.
std::string outlook(const json& decision) {
  const bool nobody = at(decision, "/reason") == "nobody";
  const std::string out = left_out(decision);
  if (!nobody) return fmt::format("; {} could be chosen{}{}", count(at(decision, "/candidates")), out.empty() ? "" : ", ", out);
  return "; " + (out.empty() ? "the pool is empty" : out);
}

std::string one(const json& decision) {
  const json age = at(decision, "/age_ms");
  std::string out = fmt::format("#{} {} s ago: pool {}, {}: {}{}\n", count(at(decision, "/number")),
                                age.is_number() ? fmt::format("{:.1f}", age.get<double>() / 1000) : "-",
                                words(at(decision, "/pool")), words(at(decision, "/policy")), reason(decision),
                                outlook(decision));
  std::vector<Row> rows = {kHeader};
  if (const json considered = at(decision, "/considered"); considered.is_array())
    for (const json& candidate : considered) rows.push_back(row(candidate));
  return out + aligned(rows, kLeftAligned);
}

}  // namespace

json last_decisions(const json& answer, int most, const std::string& backend) {
  json shown = json::array();
  if (const json decisions = at(answer, "/decisions"); decisions.is_array())
    for (const json& decision : decisions) {
      if (static_cast<int>(shown.size()) == most) break;
      if (backend.empty() || at(decision, "/chosen") == backend) shown.push_back(decision);
    }
  return shown;
}

std::string decision_table(const json& answer, int most, const std::string& backend) {
  const json shown = last_decisions(answer, most, backend);
  if (shown.empty())
    return backend.empty() ? "no decisions yet\n" : "none of the last decisions chose that back-end (proxyctl explain shows them)\n";
  std::string out;
  for (auto decision = shown.rbegin(); decision != shown.rend(); ++decision) out += (out.empty() ? "" : "\n") + one(*decision);
  return out;
}

}  // namespace farol::proxyctl
