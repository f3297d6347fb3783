#include "proxy/connection_meter.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <optional>
#include <vector>

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;

namespace {

/// In the middle of a tick, so that a few milliseconds stay within it.
constexpr TimePoint kChosen = TimePoint(1000h) + 50ms;

/// The signals of one back-end, and a connection to it, counted as the choice does.
struct Metered {
  Metered() {
    signals.changed = &changed;
    signals.slot = 3;
    signals.opened();
    meter.emplace(signals, kChosen);
  }
  [[nodiscard]] std::uint32_t open() const { return signals.connections().open; }
  [[nodiscard]] std::uint32_t owed() const { return signals.connections().owed; }
  /// Whether the next choice would look at it again.
  bool take_mark() {
    std::vector<std::size_t> marked;
    changed.take(8, [&](std::size_t slot) { marked.push_back(slot); });
    if (!marked.empty()) CHECK(marked == std::vector<std::size_t>{3});
    return !marked.empty();
  }
  /// Of the only first byte there was, in milliseconds.
  double first_byte_ms() {
    const auto bytes = signals.take_first_bytes();
    REQUIRE(bytes.count == 1);
    return std::exp(bytes.mean) / 1000;
  }

  ChangedSet changed{8};
  BackendSignals signals;
  std::optional<ConnectionMeter> meter;
};

}  // namespace

TEST_CASE("ConnectionMeter: a reply is owed from the choice on, and whenever the client spoke last", "[connection_meter]") {
  Metered t;
  CHECK(t.open() == 1);
  CHECK(t.owed() == 1);
  t.meter->client_spoke(kChosen);
  CHECK(t.owed() == 1);  // once is enough
  CHECK_FALSE(t.take_mark());
  t.meter->server_spoke(kChosen);
  CHECK(t.owed() == 0);
  CHECK(t.take_mark());
  t.meter->server_spoke(kChosen);
  CHECK(t.owed() == 0);
  CHECK_FALSE(t.take_mark());
  t.meter->client_spoke(kChosen);
  CHECK(t.owed() == 1);
  CHECK(t.take_mark());
  CHECK(t.open() == 1);
}

TEST_CASE("ConnectionMeter: its end gives both counts back, once", "[connection_meter]") {
  Metered t;
  const bool answered = GENERATE(true, false);
  {
    ConnectionMeter moved = std::move(*t.meter);
    t.meter.reset();
    CHECK(t.open() == 1);
    CHECK_FALSE(t.take_mark());
    if (answered) moved.server_spoke(kChosen);
    t.take_mark();
  }
  CHECK(t.open() == 0);
  CHECK(t.owed() == 0);
  CHECK(t.take_mark());
}

TEST_CASE("ConnectionMeter: the first byte counts from the choice, less what the client waited", "[connection_meter]") {
  Metered t;
  CHECK(t.meter->unanswered());
  SECTION("the client spoke before the connection stood") {
    t.meter->client_spoke(kChosen + 1ms);
    t.meter->connected(kChosen + 5ms);
    t.meter->server_spoke(kChosen + 30ms);
    CHECK(t.first_byte_ms() == Approx(31).epsilon(.001));  // a millisecond is added to each
  }
  SECTION("the client took its time") {
    t.meter->connected(kChosen + 5ms);
    t.meter->client_spoke(kChosen + 2005ms);
    t.meter->client_spoke(kChosen + 2010ms);  // the rest of what it had to say
    t.meter->server_spoke(kChosen + 2030ms);
    CHECK(t.first_byte_ms() == Approx(31).epsilon(.001));
  }
  SECTION("the server speaks first") {
    t.meter->connected(kChosen + 5ms);
    t.meter->server_spoke(kChosen + 30ms);
    CHECK(t.first_byte_ms() == Approx(31).epsilon(.001));
  }
  CHECK_FALSE(t.meter->unanswered());
  t.meter->client_spoke(kChosen + 3s);
  t.meter->server_spoke(kChosen + 5s);
  CHECK(t.signals.take_first_bytes().count == 0);  // there is only one first
}

TEST_CASE("ConnectionMeter: the connect time is from the choice to the connection", "[connection_meter]") {
  Metered t;
  CHECK(t.meter->connect_time() == 0s);
  t.meter->connected(kChosen + 7ms);
  CHECK(t.meter->connect_time() == 7ms);
}

TEST_CASE("ConnectionMeter: a reply that flows on is counted once a tick", "[connection_meter]") {
  Metered t;
  t.meter->server_spoke(kChosen);
  t.meter->server_spoke(kChosen + 10ms);
  CHECK(t.signals.take_flowing() == 0);  // the tick in which it began: it was owed in that
  for (int i = 0; i < 10; ++i) t.meter->server_spoke(kChosen + 100ms + std::chrono::milliseconds(i));
  CHECK(t.signals.take_flowing() == 1);
  CHECK(t.signals.take_flowing() == 0);
  t.meter->server_spoke(kChosen + 300ms);
  CHECK(t.signals.take_flowing() == 1);
  CHECK(t.owed() == 0);
}

TEST_CASE("BackendSignals: first bytes are a mean of logarithms, however many there were", "[connection_meter]") {
  BackendSignals signals;
  CHECK(signals.take_first_bytes().count == 0);
  for (int i = 0; i < 30'000; ++i) {
    signals.first_byte(9ms);
    signals.first_byte(999ms);
  }
  const auto bytes = signals.take_first_bytes();
  CHECK(bytes.count == 60'000);
  CHECK(std::exp(bytes.mean) / 1000 == Approx(100).epsilon(.001));  // √(10 · 1000)
  CHECK(signals.take_first_bytes().count == 0);
}

TEST_CASE("ChangedSet: each mark is taken once, and none beyond those that are there", "[connection_meter]") {
  ChangedSet changed(200);
  for (const std::size_t slot : {0U, 63U, 64U, 130U, 199U, 63U}) changed.mark(slot);
  std::vector<std::size_t> taken;
  const auto take = [&](std::size_t count) {
    taken.clear();
    changed.take(count, [&](std::size_t slot) { taken.push_back(slot); });
    return taken;
  };
  CHECK(take(199) == std::vector<std::size_t>{0, 63, 64, 130});
  CHECK(take(200).empty());
}
