#include "dashboard/sheet.hpp"

#include <catch2/catch.hpp>

using farol::dashboard::Sheet;

TEST_CASE("a sheet tells which rows are other than before", "[dashboard]") {
  Sheet sheet;
  CHECK(sheet.blank());
  sheet.fill({{"a", "1"}, {"b", "2"}});
  CHECK_FALSE(sheet.blank());
  CHECK(sheet.all() == "[1,2]");
  CHECK(sheet.changed() == "[1,2]");
  CHECK(sheet.gone() == "[]");
  sheet.turn();
  CHECK(sheet.blank());
  sheet.fill({{"b", "3"}, {"c", "4"}});
  CHECK(sheet.changed() == "[3,4]");
  CHECK(sheet.gone() == "[\"a\"]");
  sheet.turn();
  sheet.fill({{"b", "3"}, {"c", "5"}});
  CHECK(sheet.changed() == "[5]");
  CHECK(sheet.gone() == "[]");
}

TEST_CASE("after a sample that nobody saw every row counts as changed", "[dashboard]") {
  Sheet sheet;
  sheet.fill({{"a", "1"}});
  sheet.turn();
  sheet.turn();
  sheet.fill({{"a", "1"}});
  CHECK(sheet.changed() == "[1]");
}
