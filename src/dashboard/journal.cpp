#include "dashboard/journal.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/clock.hpp"
#include "common/json_text.hpp"

namespace farol::dashboard {
namespace {

Event changed(const Sighting& before, const Sighting& after) {
  // A back-end that was never seen at work does not recover: "new" becomes "up".
  const bool recovered = after.state == "up" && before.state != "new";
  const std::string_view kind = recovered ? "recovered" : after.state;
  return {0, {}, after.id, std::string(before.state), std::string(after.state), std::string(kind),
          std::string(after.cause)};
}

}  // namespace

std::vector<Event> transitions(const std::vector<Sighting>& before, const std::vector<Sighting>& after) {
  std::vector<Event> events;
  auto old = before.begin();
  const auto left = [&] {
    const std::string_view cause = old->farewell.empty() ? old->cause : old->farewell;
    events.push_back({0, {}, old->id, std::string(old->state), "", "left", std::string(cause)});
    ++old;
  };
  for (const Sighting& now : after) {
    while (old != before.end() && old->id < now.id) left();
    if (old == before.end() || old->id != now.id) {
      events.push_back({0, {}, now.id, "", std::string(now.state), "joined", std::string(now.cause)});
      continue;
    }
    if (old->state != now.state) events.push_back(changed(*old, now));
    ++old;
  }
  while (old != before.end()) left();
  return events;
}

void Journal::look(std::vector<Sighting> now, std::chrono::system_clock::time_point at) {
  before_last_look_ = last_;
  for (Event& event : transitions(seen_, now)) {
    event.number = ++last_;
    event.at = at;
    events_.push_back(std::move(event));
    if (events_.size() > kMost) events_.pop_front();
  }
  seen_ = std::move(now);
}

std::string events_json(const Journal& journal, std::uint64_t number) {
  using nlohmann::json;
  json list = json::array();
  for (const Event& event : journal.events()) {
    if (event.number <= number) continue;
    list.push_back({{"number", event.number},
                    {"at_ms", unix_ms(event.at)},
                    {"backend", event.backend},
                    {"kind", event.kind},
                    {"from", event.from},
                    {"to", event.to},
                    {"cause", event.cause}});
  }
  return json_text(list);
}

}  // namespace farol::dashboard
