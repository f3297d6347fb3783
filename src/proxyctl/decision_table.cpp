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
    {"source_moved", "by the client's address, whose own back-end is full or out"},
    {"nobody", "nobody can be chosen"},
};

std::string reason(const json& decision) {
  const std::string name = words(at(decision, "/reason"));
  for (const auto& [known, meaning] : kReasons)
    if (name == known) return std::string(meaning);
  return name;
}

/// Why one was not chosen, by its verdict.
constexpr std::pair<std::string_view, std::string_view> kLeftOut[] = {
    {"tried_before", "it had failed this client"},
    {"full", "it has as many connections as it may"},
    {"backup", "it is a backup, and a primary one could be chosen"},
    {"new", "it was not checked yet"},
    {"stale", "its agent was silent"},
    {"down", "it looked dead"},
    {"ejected", "a connection to it had failed a moment ago"},
    {"drain", "it is to get no new connections"},
    {"maint", "the operator has taken it out"},
};
constexpr const char* kParts[] = {"rtt", "tcp", "loss", "cpu", "memory", "doubt"};

bool is_called(const std::string& backend, const json& address, const json& pool) {
  const std::string plain = words(address);
  return address.is_string() && (backend == plain || backend == plain + "/" + words(pool));
}

/// What a decision says of one back-end; null when nothing.
json candidate_of(const json& decision, const std::string& backend) {
  const json considered = at(decision, "/considered");
  if (considered.is_array())
    for (const json& candidate : considered)
      if (is_called(backend, at(candidate, "/address"), at(decision, "/pool"))) return candidate;
  return nullptr;
}

bool concerns(const json& decision, const std::string& backend) {
  return backend.empty() || is_called(backend, at(decision, "/chosen"), at(decision, "/pool")) ||
         !candidate_of(decision, backend).is_null();
}

/// What the higher of two scores has most of.
std::string comparison(const json& candidate, const json& chosen) {
  std::string out = fmt::format("its score {}, the other's {}", decimal(at(candidate, "/score"), 3),
                                decimal(at(chosen, "/score"), 3));
  double most = 0;
  std::string part;
  for (const char* each : kParts) {
    const std::string path = std::string("/components/") + each;
    const json more = at(candidate, path.c_str()), less = at(chosen, path.c_str());
    if (!more.is_number() || !less.is_number() || more.get<double>() - less.get<double>() <= most) continue;
    most = more.get<double>() - less.get<double>();
    part = each;
  }
  return part.empty() ? out : out + fmt::format("; most of it {} (+{:.3f})", part, most);
}

/// "10.1.1.2:80 was left out: …" for one that was not chosen.
std::string why_not(const json& decision, const std::string& backend) {
  const json candidate = backend.empty() ? json() : candidate_of(decision, backend);
  const std::string found = words(at(candidate, "/verdict")), because = words(at(decision, "/reason"));
  const std::string name = words(at(candidate, "/address"));
  for (const auto& [known, meaning] : kLeftOut)
    if (found == known) return fmt::format("{} was left out: {}\n", name, meaning);
  if (found != "passed_over") return {};
  const json chosen = at(decision, "/considered/0"), score = at(candidate, "/score"), won = at(chosen, "/score");
  std::string why = "it was the other's turn";
  if (because == "source_moved")
    why = "it has as many as its share allows, or other clients are its own";
  else if (because == "source")
    why = "other clients are its own";
  else if (because != "turn" && score.is_number() && won.is_number() && score > won)
    why = comparison(candidate, chosen);
  return fmt::format("{} was passed over: {}\n", name, why);
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

std::string one(const json& decision, const std::string& backend) {
  const json age = at(decision, "/age_ms");
  std::string out = fmt::format("#{} {} s ago: pool {}, {}: {}{}\n", count(at(decision, "/number")),
                                age.is_number() ? fmt::format("{:.1f}", age.get<double>() / 1000) : "-",
                                words(at(decision, "/pool")), words(at(decision, "/policy")), reason(decision),
                                outlook(decision));
  std::vector<Row> rows = {kHeader};
  if (const json considered = at(decision, "/considered"); considered.is_array())
    for (const json& candidate : considered) rows.push_back(row(candidate));
  return out + why_not(decision, backend) + aligned(rows, kLeftAligned);
}

}  // namespace

json last_decisions(const json& answer, int most, const std::string& backend) {
  json shown = json::array();
  if (const json decisions = at(answer, "/decisions"); decisions.is_array())
    for (const json& decision : decisions) {
      if (static_cast<int>(shown.size()) == most) break;
      if (concerns(decision, backend)) shown.push_back(decision);
    }
  return shown;
}

std::string decision_table(const json& answer, int most, const std::string& backend) {
  const json shown = last_decisions(answer, most, backend);
  if (shown.empty())
    return backend.empty() ? "no decisions yet\n"
                           : "none of the last decisions tells of that back-end (proxyctl explain shows them)\n";
  std::string out;
  for (auto decision = shown.rbegin(); decision != shown.rend(); ++decision)
    out += (out.empty() ? "" : "\n") + one(*decision, backend);
  return out;
}

bool has_backend(const json& status, const std::string& backend) {
  const json rows = at(status, "/backends");
  return rows.is_array() && std::any_of(rows.begin(), rows.end(), [&](const json& row) {
           return is_called(backend, at(row, "/address"), at(row, "/pool"));
         });
}

}  // namespace farol::proxyctl
