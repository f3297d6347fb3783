#include "proxyctl/top_screen.hpp"

#include <catch2/catch.hpp>

#include "proxyctl/terminal_text.hpp"

using namespace farol::proxyctl;

namespace {

TopRow row(const std::string& backend, const std::string& state, double score, std::array<double, 6> parts) {
  TopRow made;
  made.backend = backend;
  made.pool = "default";
  made.id = backend + "/default";
  made.state = state;
  made.score = score;
  made.parts = parts;
  made.rtt_ms = 11.2;
  made.loss = 0.05;
  made.tcp = 7;
  made.cpu = 0.17;
  made.memory = 0.89;
  made.age_ms = 400;
  made.active = 3;
  made.rate = 1.25;
  return made;
}

TopView view_of_two() {
  TopRow fresh;
  fresh.backend = "10.1.1.2:80";
  fresh.pool = "default";
  fresh.id = "10.1.1.2:80/default";
  fresh.state = "stale";
  return {{"Farol 0.1.0, ready", "connections: 3 active", "clients: 0 waiting"},
          {row("10.1.1.1:80", "up", 1, {0.5, 0, 0.1, 0.2, 0.2, 0}), fresh}};
}

std::vector<std::string> texts(const std::vector<Line>& lines) {
  std::vector<std::string> result;
  for (const Line& line : lines) {
    std::string text;
    for (const Span& span : line) text += span.text;
    text.erase(text.find_last_not_of(' ') + 1);
    result.push_back(text);
  }
  return result;
}

}  // namespace

TEST_CASE("top: a score's bar is as long as its share of the worst, and split as its parts are", "[top]") {
  CHECK(bar(row("a", "up", 1, {0.5, 0, 0.1, 0.2, 0.2, 0}), 1, 10) == "rrrrrlccmm");
  CHECK(bar(row("a", "up", 1, {0.5, 0, 0.1, 0.2, 0.2, 0}), 2, 10) == "rrrcm");
  CHECK(bar(row("a", "up", 0.001, {0, 0.001, 0, 0, 0, 0}), 100, 10) == "t");  // little, but not nothing
  CHECK(bar(row("a", "up", 0, {}), 1, 10).empty());
  CHECK(bar(row("a", "up", 3, {1, 1, 1, 0, 0, 0}), 3, 10) == "rrrttttlll");  // thirds, and the sum is right
  CHECK(bar(row("a", "up", 7, {1, 2, 1, 1, 1, 1}), 7, 40).size() == 40);
  CHECK(bar(row("a", "up", 1, {1, -5, 0, 0, 0, 0}), 1, 4) == "rrrr");
  CHECK(bar(row("a", "up", 1, {1e308, 1e308, 1e308, 1e308, 0, 0}), 1, 4).empty());  // whose sum is no number
}

TEST_CASE("top: the screen is headlines, a table and the keys", "[top]") {
  const auto lines = texts(top_screen(view_of_two(), {}, "", {9, 110}));
  REQUIRE(lines.size() == 9);
  CHECK(lines[0] == "Farol 0.1.0, ready");
  CHECK(lines[3] == "  BACKEND^    POOL    STATE     SCORE PARTS             RTT(ms)  LOSS    TCP   CPU   MEM    AGE ACTIVE  CONN/s");
  CHECK(lines[4] == "> 10.1.1.1:80 default up        1.000 rrrrrrrrllcccmmm     11.2    5%      7   17%   89%   0.4s      3     1.2");
  CHECK(lines[5] == "  10.1.1.2:80 default stale         -                         -     -      -     -     -      -      -       -");
  CHECK(lines[8] == "2 of 2  q quit  ? help  / filter  < > sort  r reverse  d drain  y ready  m maint");
}

TEST_CASE("top: no line is too wide and there are not too many, whatever the size", "[top]") {
  for (const std::size_t rows : {0, 1, 2, 3, 5, 8, 24, 60})
    for (const std::size_t width : {0, 1, 2, 7, 20, 40, 80, 300})
      for (const auto mode : {TopControls::Mode::table, TopControls::Mode::help, TopControls::Mode::confirm}) {
        TopControls controls;
        controls.mode = mode;
        const auto lines = top_screen(view_of_two(), controls, "STALE", {rows, width});
        CHECK(lines.size() == rows);
        for (const std::string& line : texts(lines)) CHECK(columns(line) <= width);
      }
}

TEST_CASE("top: where there is little room the least important go first", "[top]") {
  const auto lines = texts(top_screen(view_of_two(), {}, "", {8, 40}));
  CHECK(lines[0] == "Farol 0.1.0, ready");
  CHECK(lines[3] == "  BACKEND^    STATE     SCORE ACTIVE");
  CHECK(lines[4] == "> 10.1.1.1:80 up        1.000      3");
  CHECK(table_height({8, 40}, false) == 3);
  CHECK(table_height({2, 40}, false) == 0);
}

TEST_CASE("top: what is old is said to be, before anything else but the first line", "[top]") {
  CHECK(texts(top_screen(view_of_two(), {}, "STALE for 3 s: gone", {24, 80}))[1] == "STALE for 3 s: gone");
  CHECK(texts(top_screen(view_of_two(), {}, "STALE for 3 s: gone", {6, 80}))[0] == "STALE for 3 s: gone");
}

TEST_CASE("top: names of several bytes a character, or two columns, move nothing", "[top]") {
  TopView view = view_of_two();
  view.rows[0].pool = "\xe5\x8c\x97\xe4\xba\xac";
  view.rows[1].pool = "b\xc3\xbcro";
  const auto lines = texts(top_screen(view, {}, "", {9, 110}));
  const auto before_state = [&](const std::string& line, const char* state) { return columns(line.substr(0, line.find(state))); };
  CHECK(before_state(lines[4], "up") == before_state(lines[3], "STATE"));
  CHECK(before_state(lines[5], "stale") == before_state(lines[3], "STATE"));
}

TEST_CASE("top: the question, the filter and an empty table are told", "[top]") {
  TopControls controls;
  controls.mode = TopControls::Mode::confirm;
  controls.asked = TopOrder{"id", "10.1.1.1:80/default", "drain"};
  CHECK(texts(top_screen(view_of_two(), controls, "", {9, 80})).back() == "drain 10.1.1.1:80/default? (y/n)");
  controls = {};
  controls.filter = "web";
  const auto lines = texts(top_screen(view_of_two(), controls, "", {9, 80}));
  CHECK(lines[4] == "  none matches the filter");
  CHECK(lines.back().substr(0, 17) == "0 of 2 with 'web'");
  CHECK(texts(top_screen({}, {}, "", {9, 80}))[1] == "  no back-ends (proxyctl check says why)");
}
