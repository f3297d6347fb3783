#include "common/options.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "common/error.hpp"

using namespace farol;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE("options: a duration has a unit, a bare number is seconds", "[options]") {
  CHECK(parse_duration("20") == 20s);
  CHECK(parse_duration("0.5") == 500ms);
  CHECK(parse_duration("20s") == 20s);
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("250us") == 250us);
  CHECK(parse_duration("2m") == 2min);
  CHECK(parse_duration("1.5h") == 90min);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0") == 0s);
}

TEST_CASE("options: what is no duration is named", "[options]") {
  for (const std::string text : {"", "abc", "5 parsecs", "5S", "1,5", "--", "5s5s"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_duration(text), UsageError);
    CHECK_THROWS_WITH(parse_duration(text), Contains("'" + text + "' is "));
  }
  for (const char* text : {"-1", "-5s", "1e9", "nan", "1e400"}) CHECK_THROWS_AS(parse_duration(text), UsageError);
}

TEST_CASE("options: errors become the contract's exit codes", "[options]") {
  CHECK(run_program("test", [] { return 3; }) == 3);
  CHECK(run_program("test", []() -> int { throw UsageError("this line is part of the test"); }) == 64);
  CHECK(run_program("test", []() -> int { throw StartError("this line is part of the test"); }) == 1);
  CHECK(run_program("test", []() -> int { throw std::runtime_error("this line is part of the test"); }) == 1);
}
