#include "proxy/schedule.hpp"

#include "proxy/backend_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

constexpr TimePoint kNot = TimePoint::max();

}  // namespace

TEST_CASE("Schedule: rows are due in order, and put() says who is the first", "[schedule]") {
  Row one, two;
  Schedule schedule(&Backend::next_probe);
  CHECK(schedule.next() == kNot);
  CHECK(schedule.due(kStart) == nullptr);
  CHECK(schedule.put(one, kStart + 2s));
  CHECK_FALSE(schedule.put(two, kStart + 3s));
  CHECK(schedule.next() == kStart + 2s);
  CHECK(schedule.due(kStart + 1999ms) == nullptr);
  CHECK(schedule.due(kStart + 2s) == &one);
  CHECK(schedule.put(two, kStart + 1s));  // brought forward
  CHECK(two.next_probe == kStart + 1s);
  CHECK(schedule.due(kStart + 2s) == &two);
  CHECK_FALSE(schedule.put(two, kStart + 4s));  // put off
  CHECK(schedule.due(kStart + 2s) == &one);
  CHECK_FALSE(schedule.put(one, kNot));  // it goes
  CHECK(one.next_probe == kNot);
  CHECK(schedule.next() == kStart + 4s);
  CHECK(schedule.put(two, kStart + 5s));  // it is the only one
  CHECK_FALSE(schedule.put(two, kNot));
  CHECK(schedule.next() == kNot);
  CHECK(one.next_look == kNot);  // another schedule's
  for (const TimePoint due : {kStart + 5s, kStart + 4s, kStart + 6s}) schedule.bring_forward(one, due);
  CHECK(one.next_probe == kStart + 4s);
  CHECK(schedule.due(kStart + 4s) == &one);
}

TEST_CASE("Schedule: rows that are due at the same moment do not stand in each other's way", "[schedule]") {
  Row rows[3];
  Schedule schedule(&Backend::next_look);
  for (Row& row : rows) schedule.put(row, TimePoint::min());
  for (int left = 3; left > 0; --left) {
    Backend* due = schedule.due(kStart);
    REQUIRE(due != nullptr);
    schedule.put(*due, kNot);
    CHECK(due->next_look == kNot);
  }
  CHECK(schedule.due(kStart) == nullptr);
}
