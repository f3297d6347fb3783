#include "dashboard/history.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

using namespace farol;
using namespace farol::dashboard;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();
const TimePoint kStart{1'000'000s};  // the beginning of a step

std::vector<History::Reading> read(const std::string& id, float value) {
  return {{id, {value}}};
}

}  // namespace

TEST_CASE("the history keeps the mean of each five seconds, oldest first", "[dashboard]") {
  History history(1);
  for (int i = 0; i < 5; ++i) history.record(read("a", static_cast<float>(i)), kStart + i * 1s);  // mean 2
  history.record(read("a", 7), kStart + 5s);
  const std::vector<float> points = history.points("a", 0);
  REQUIRE(points.size() == History::kPoints);
  CHECK(points[179] == 7);
  CHECK(points[178] == 2);
  CHECK(std::isnan(points[177]));
}

TEST_CASE("what is not known and what was slept over stays empty", "[dashboard]") {
  History history(2);
  history.record({{"a", {1, kNothing}}}, kStart);
  history.record({{"a", {3}}}, kStart + 15s);
  CHECK(std::isnan(history.points("a", 1)[179]));
  CHECK(history.points("a", 0)[179] == 3);
  CHECK(std::isnan(history.points("a", 0)[178]));
  CHECK(std::isnan(history.points("a", 0)[177]));
  CHECK(history.points("a", 0)[176] == 1);
  history.record({{"a", {5, 5}}}, kStart + 10h);
  CHECK(history.points("a", 0)[179] == 5);
  for (std::size_t i = 0; i < 179; ++i) CHECK(std::isnan(history.points("a", 0)[i]));
}

TEST_CASE("the oldest quarter of an hour is overwritten", "[dashboard]") {
  History history(1);
  for (int i = 0; i <= 180; ++i) history.record(read("a", static_cast<float>(i)), kStart + i * 5s);
  CHECK(history.points("a", 0).front() == 1);
  CHECK(history.points("a", 0).back() == 180);
}

TEST_CASE("who is no longer read is forgotten, and not more are followed than there is room for", "[dashboard]") {
  History history(1);
  history.record({{"a", {1}}, {"b", {1}}}, kStart);
  history.record(read("b", 2), kStart + 1s);
  CHECK(history.points("a", 0).empty());
  CHECK(history.followed() == 1);
  std::vector<History::Reading> many;
  for (std::size_t i = 0; i < History::kMost + 10; ++i) many.push_back({std::to_string(i), {1}});
  history.record(many, kStart + 2s);
  history.record(many, kStart + 3s);  // now without "b"
  CHECK(history.followed() == History::kMost);
}

TEST_CASE("the history of one back-end as JSON has a list per series", "[dashboard]") {
  History history(2);
  history.record({{"a", {0.12345F, kNothing}}}, kStart);
  constexpr const char* kNames[] = {"score", "rtt"};
  const auto text = history_json(history, "a", kNames, std::chrono::system_clock::time_point(1234567ms));
  REQUIRE(text);
  const json all = json::parse(*text);
  CHECK(all["step_s"] == 5);
  CHECK(all["ends_ms"] == 1234567);
  CHECK(all["series"]["score"].size() == History::kPoints);
  CHECK(all["series"]["score"][179] == 0.123);
  CHECK(all["series"]["rtt"][179].is_null());
  CHECK_FALSE(history_json(history, "b", kNames, {}));
}
