#include "common/stop_event.hpp"

#include <poll.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <list>

#include "common/thread.hpp"

using namespace farol;
using namespace std::chrono_literals;

TEST_CASE("stop event: it waits until the deadline when nobody stops it", "[stop_event]") {
  const StopEvent stop;
  const TimePoint from = Clock::now();
  CHECK_FALSE(stop.wait_until(from + 50ms));
  CHECK(Clock::now() >= from + 50ms);
  CHECK_FALSE(stop.wait_until(from));
}

TEST_CASE("stop event: once fired it wakes everyone, now and later", "[stop_event]") {
  StopEvent stop;
  std::atomic<int> woken{0};
  std::list<Thread> waiting;
  for (int i = 0; i < 5; ++i)
    waiting.emplace_back("waits", [&] {
      if (stop.wait_until(Clock::now() + 30s)) ++woken;
    });
  CHECK_FALSE(stop.fired());
  stop.fire();
  stop.fire();
  waiting.clear();
  CHECK(woken == 5);
  CHECK(stop.fired());
  CHECK(stop.wait_until(kNever));
}

TEST_CASE("stop event: a wait for a descriptor says what ended it, and the stop wins", "[stop_event]") {
  StopEvent stop;
  Bell bell;
  CHECK(wait_readable(bell.fd(), stop, Clock::now() + 10ms) == Wake::timeout);
  bell.ring();
  CHECK(wait_readable(bell.fd(), stop, kNever) == Wake::ready);
  stop.fire();
  CHECK(wait_readable(bell.fd(), stop, kNever) == Wake::stop);
}

TEST_CASE("bell: rings are merged and taken together", "[stop_event]") {
  Bell bell;
  const auto rings = [&] {
    pollfd state{bell.fd(), POLLIN, 0};
    return ::poll(&state, 1, 0) > 0;
  };
  CHECK_FALSE(rings());
  bell.clear();
  bell.ring();
  bell.ring();
  CHECK(rings());
  bell.clear();
  CHECK_FALSE(rings());
  bell.ring();
  CHECK(rings());
}
