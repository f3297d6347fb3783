#include "monitor/socket_watch.hpp"

#include <catch2/catch.hpp>
#include <ctime>

#include "common/thread.hpp"

using namespace farol;
using namespace farol::monitor;
using namespace std::chrono_literals;

TEST_CASE("SocketWatch: has a count from the start", "[socket_watch]") {
  const TimePoint before = Clock::now();
  const SocketWatch watch([] { return ServiceSockets{5, false}; });
  const auto count = watch.latest();
  CHECK(count.sockets.established == 5);
  CHECK_FALSE(count.sockets.listening);
  CHECK(count.at >= before);
  CHECK(count.at <= Clock::now());
}

TEST_CASE("SocketWatch: counts every second", "[socket_watch]") {
  SocketWatch watch([] { return ServiceSockets(); });
  const TimePoint next = watch.refresh();
  CHECK(next == watch.latest().at + SocketWatch::kPeriod);
}

TEST_CASE("SocketWatch: what costs much is done seldom", "[socket_watch]") {
  SocketWatch watch([] {
    const auto cpu_ms = [] { return std::clock() * 1000 / CLOCKS_PER_SEC; };
    const auto end = cpu_ms() + 20;  // of the process, so at most that much of this thread, and all of it here
    while (cpu_ms() < end) {
    }
    return ServiceSockets();
  });
  CHECK(watch.refresh() - watch.latest().at > 3s);  // 20 ms at half a percent of a core: 4 s
}

TEST_CASE("SocketWatch: ends when told to, in the middle of a wait", "[socket_watch]") {
  SocketWatch watch([] { return ServiceSockets(); });
  StopEvent stop;
  Thread counting("count", [&] { watch.run(stop); });
  stop.fire();
  counting.join();
  CHECK(stop.fired());
}
