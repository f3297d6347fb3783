#include "proxyctl/top_controls.hpp"

#include <catch2/catch.hpp>

using namespace farol::proxyctl;
using Kind = Key::Kind;
using Mode = TopControls::Mode;

namespace {

TopRow row(const std::string& backend, const std::string& state, std::optional<double> score) {
  TopRow made;
  made.backend = backend;
  made.pool = "web";
  made.id = backend + "/web";
  made.state = state;
  made.score = score;
  return made;
}

const TopView kView{{}, {row("10.1.1.10:80", "up", 0.5), row("10.1.1.2:80", "drain", 2), row("10.1.1.1:80", "up", {})}};

std::string order_of(const TopControls& controls, const TopView& view = kView) {
  std::string names;
  for (const TopRow* each : arranged(view, controls)) names += each->backend.substr(7, each->backend.size() - 10) + " ";
  return names;
}

Pressed type(const std::string& text, TopControls& controls, const TopView& view = kView) {
  Pressed last;
  for (const char c : text) last = press({Kind::character, std::string(1, c)}, view, 2, controls);
  return last;
}

void hit(Kind kind, TopControls& controls, const TopView& view = kView) { press({kind, {}}, view, 2, controls); }

}  // namespace

TEST_CASE("top: rows are sorted as one would, what is not known comes last", "[top]") {
  TopControls controls;
  CHECK(order_of(controls) == "1 2 10 ");  // not by letters
  type("r", controls);
  CHECK(order_of(controls) == "10 2 1 ");
  type("O", controls);  // a column is chosen: its own order
  CHECK(order_of(controls) == "2 10 1 ");
  type("r", controls);
  CHECK(order_of(controls) == "10 2 1 ");
  type("S", controls);
  CHECK(order_of(controls) == "2 1 10 ");  // equals by address
}

TEST_CASE("top: the column to sort by goes left and right, past the one that cannot be sorted by", "[top]") {
  TopControls controls;
  type(">>>", controls);
  CHECK(controls.sort == Column::score);
  type(">", controls);
  CHECK(controls.sort == Column::rtt);
  type("<", controls);
  CHECK(controls.sort == Column::score);
  type("<<<<", controls);
  CHECK(controls.sort == Column::rate);
  type(">", controls);
  CHECK(controls.sort == Column::backend);
  for (std::size_t i = 0; i < kColumns; ++i) {
    const auto column = static_cast<Column>(i);
    if (sort_letter(column) == ' ') continue;
    type(std::string(1, sort_letter(column)), controls);
    CHECK(controls.sort == column);
  }
}

TEST_CASE("top: the filter takes text while it is typed", "[top]") {
  TopControls controls;
  type("/up", controls);
  CHECK(order_of(controls) == "1 10 ");
  type("q", controls);  // no command now
  CHECK(controls.filter == "upq");
  CHECK(order_of(controls).empty());
  hit(Kind::backspace, controls);
  press({Kind::character, "\xc3\xbc"}, kView, 2, controls);
  CHECK(controls.filter == "up\xc3\xbc");
  hit(Kind::backspace, controls);  // a character, not a byte
  hit(Kind::enter, controls);
  CHECK(controls.mode == Mode::table);
  CHECK(order_of(controls) == "1 10 ");
  type("/", controls);
  hit(Kind::escape, controls);
  CHECK(order_of(controls) == "1 2 10 ");
  controls.filter = "Up";  // with a capital it is exact
  CHECK(order_of(controls).empty());
}

TEST_CASE("top: the selected back-end stays it, wherever it is sorted to", "[top]") {
  TopControls controls;
  hit(Kind::down, controls);
  CHECK(controls.selected == "10.1.1.2:80/web");
  type("O", controls);
  CHECK(selected_index(arranged(kView, controls), controls) == 0);
  hit(Kind::end, controls);
  CHECK(controls.selected == "10.1.1.1:80/web");
  CHECK(controls.first == 1);  // three rows, room for two
  hit(Kind::page_up, controls);
  CHECK(controls.selected == "10.1.1.2:80/web");
  CHECK(controls.first == 0);
  hit(Kind::up, controls);
  CHECK(controls.selected == "10.1.1.2:80/web");
  hit(Kind::home, controls);
  hit(Kind::page_down, controls);
  CHECK(controls.selected == "10.1.1.1:80/web");
}

TEST_CASE("top: scrolling keeps the selected one in sight and wastes no room", "[top]") {
  CHECK(scrolled(0, 0, 3, 10) == 0);
  CHECK(scrolled(5, 2, 10, 3) == 2);
  CHECK(scrolled(0, 5, 10, 3) == 3);
  CHECK(scrolled(9, 9, 10, 3) == 7);   // there are fewer rows than there were
  CHECK(scrolled(4, 4, 10, 0) == 0);   // no room at all
}

TEST_CASE("top: an order is asked back, and names who was selected when it was asked for", "[top]") {
  const std::pair<const char*, const char*> keys[] = {{"d", "drain"}, {"y", "ready"}, {"m", "maint"}};
  for (const auto& [key, state] : keys) {
    TopControls controls;
    hit(Kind::down, controls);
    CHECK_FALSE(type(key, controls).order);
    CHECK(controls.mode == Mode::confirm);
    const TopView changed{{}, {row("10.1.1.9:80", "up", 1)}};  // the table changes meanwhile
    const Pressed confirmed = type("y", controls, changed);
    REQUIRE(confirmed.order);
    CHECK(confirmed.order->id == "10.1.1.2:80/web");
    CHECK(confirmed.order->backend == "10.1.1.2:80/web");
    CHECK(confirmed.order->state == state);
    CHECK(controls.mode == Mode::table);
  }
}

TEST_CASE("top: whatever is not yes is no", "[top]") {
  TopControls controls;
  for (const Key& key : {Key{Kind::character, "n"}, Key{Kind::character, "d"}, Key{Kind::enter, {}}, Key{Kind::escape, {}}}) {
    type("d", controls);
    CHECK_FALSE(press(key, kView, 2, controls).order);
    CHECK(controls.mode == Mode::table);
    CHECK(controls.message == "nothing was changed");
    CHECK_FALSE(type("y", controls).order);  // asks anew
    type("n", controls);
  }
  TopControls empty;
  type("d", empty, TopView{});
  CHECK(empty.mode == Mode::table);
  CHECK(empty.message == "no back-end is selected");
}

TEST_CASE("top: help goes by any key, and q ends it", "[top]") {
  TopControls controls;
  CHECK_FALSE(type("?", controls).quit);
  CHECK(controls.mode == Mode::help);
  CHECK_FALSE(type("q", controls).quit);
  CHECK(type("q", controls).quit);
  CHECK_NOTHROW(hit(Kind::down, controls, TopView{}));
}
