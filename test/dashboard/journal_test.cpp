#include "dashboard/journal.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace farol::dashboard;
using nlohmann::json;

namespace {

using Wall = std::chrono::system_clock::time_point;

std::string kinds(const std::vector<Event>& events) {
  std::string all;
  for (const Event& event : events) all += event.backend + " " + event.kind + ";";
  return all;
}

}  // namespace

TEST_CASE("the journal tells who joined, left, fell out and recovered", "[dashboard]") {
  CHECK(transitions({}, {}).empty());
  CHECK(kinds(transitions({}, {{"a", "up", ""}, {"b", "new", ""}})) == "a joined;b joined;");
  CHECK(kinds(transitions({{"a", "up", ""}, {"b", "up", ""}}, {})) == "a left;b left;");
  CHECK(kinds(transitions({{"a", "up", ""}, {"c", "up", ""}}, {{"b", "up", ""}})) == "a left;b joined;c left;");
  CHECK(kinds(transitions({{"a", "up", "x"}}, {{"a", "up", "y"}})).empty());
  CHECK(kinds(transitions({{"a", "new", ""}}, {{"a", "up", ""}})) == "a up;");
  for (const char* out : {"down", "ejected", "drain", "maint", "stale"}) {
    CHECK(kinds(transitions({{"a", "up", ""}}, {{"a", out, ""}})) == "a " + std::string(out) + ";");
    CHECK(kinds(transitions({{"a", out, ""}}, {{"a", "up", ""}})) == "a recovered;");
  }
}

TEST_CASE("an event has the states, and the cause of the new one", "[dashboard]") {
  const std::vector<Event> events = transitions({{"a", "up", "well"}}, {{"a", "down", "refused"}});
  REQUIRE(events.size() == 1);
  CHECK(events[0].from == "up");
  CHECK(events[0].to == "down");
  CHECK(events[0].cause == "refused");
  CHECK(transitions({{"a", "down", "refused"}}, {})[0].cause == "refused");
  CHECK(transitions({{"a", "up", "well", "said goodbye"}}, {})[0].cause == "said goodbye");
  CHECK(transitions({}, {{"a", "up", "well", "said goodbye"}})[0].cause == "well");
}

TEST_CASE("the journal numbers its events, knows the latest and forgets the oldest", "[dashboard]") {
  Journal journal;
  journal.look({{"a", "up", "well"}}, Wall(std::chrono::seconds(5)));
  journal.look({{"a", "up", "well"}}, Wall(std::chrono::seconds(6)));
  CHECK(json::parse(events_json(journal, journal.before_last_look())).empty());
  journal.look({{"a", "down", "refused"}}, Wall(std::chrono::seconds(7)));
  const json latest = json::parse(events_json(journal, journal.before_last_look()));
  CHECK(latest == json({{{"number", 2},
                         {"at_ms", 7000},
                         {"backend", "a"},
                         {"kind", "down"},
                         {"from", "up"},
                         {"to", "down"},
                         {"cause", "refused"}}}));
  CHECK(json::parse(events_json(journal, 0)).size() == 2);

  for (int i = 0; i < 1000; ++i) journal.look({{"a", i % 2 ? "down" : "up", ""}}, Wall());
  CHECK(journal.events().size() == Journal::kMost);
  CHECK(journal.events().back().number == 1002);
}

TEST_CASE("a name of any bytes becomes valid JSON", "[dashboard]") {
  Journal journal;
  journal.look({{"<script>\xff\"", "up", ""}}, Wall());
  CHECK(json::parse(events_json(journal, 0))[0]["backend"] == "<script>\xef\xbf\xbd\"");
}
