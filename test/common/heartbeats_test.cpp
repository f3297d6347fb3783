#include "common/heartbeats.hpp"

#include <catch2/catch.hpp>

using namespace farol;
using namespace std::chrono_literals;

TEST_CASE("Heartbeats: who has not come round for the whole patience is stuck, until it does", "[heartbeats]") {
  Heartbeats all(10s);
  Heartbeats::Pulse quick(&all, "quick"), slow(&all, "slow");
  const TimePoint start = Clock::now() + 1s;
  quick.beat(start);
  slow.beat(start);
  CHECK_FALSE(all.stuck(start + 10s));
  quick.beat(start + 5s);
  CHECK(all.stuck(start + 11s) == "slow");
  slow.beat(start + 11s);
  CHECK_FALSE(all.stuck(start + 12s));
}

TEST_CASE("Heartbeats: a wait is never longer than a part of the patience, and unlimited where nobody watches",
          "[heartbeats]") {
  Heartbeats watched(8s), unwatched;
  const TimePoint now = Clock::now();
  CHECK(Heartbeats::Pulse(&watched, "a").beat(now) == now + 2s);
  CHECK(Heartbeats::Pulse(&unwatched, "b").beat(now) == kNever);
  CHECK(Heartbeats::Pulse(nullptr, "c").beat(now) == kNever);
}

TEST_CASE("Heartbeats: a thread that has ended is not missed", "[heartbeats]") {
  Heartbeats all(1s);
  { const Heartbeats::Pulse ended(&all, "ended"); }
  CHECK_FALSE(all.stuck(Clock::now() + 1h));
}
