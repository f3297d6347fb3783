#include "gateway/rate_model.hpp"

#include <catch2/catch.hpp>
#include <deque>

using namespace farol;
using namespace farol::gateway;
using namespace std::chrono_literals;

namespace {

/// A path that delivers so many chunks a second after `delay`, behind a queue of any length, and loses every so-manieth.
struct Line {
  double rate;
  Duration delay;
  unsigned loses_every = 0;
  unsigned drops_above = 100'000;  ///< chunks in the queue: what a shallow buffer does
  RateModel model{3000};
  TimePoint now{1h};
  unsigned sent = 0, lost = 0, delivered = 0;

  struct Chunk {
    TimePoint asked, arrives;
    bool lost;
  };
  std::deque<Chunk> way{};
  TimePoint free{};

  void run(Duration time) {
    for (const TimePoint end = now + time; now < end; now += 100us) {
      while (!way.empty() && way.front().arrives <= now) {
        if (way.front().lost) {
          model.lost(now, 1);
          ++lost;
        } else {
          model.rtt.add(now, now - way.front().asked);
          model.delivered(now, 1);
          ++delivered;
        }
        way.pop_front();
      }
      for (unsigned room = model.room(); room > 0; --room) {
        model.sent(now, 1);
        free = std::max(free, now) + from_seconds(1 / rate);
        ++sent;
        const bool full = (free - now) * rate > drops_above * 1s;
        way.push_back({now, free + delay, full || (loses_every != 0 && sent % loses_every == 0)});
        if (full) free -= from_seconds(1 / rate);
      }
    }
  }
};

}  // namespace

TEST_CASE("RttEstimate: smooths, and forgets the least after ten seconds", "[rate]") {
  RttEstimate rtt;
  CHECK_FALSE(rtt.measured());
  TimePoint now{1h};
  rtt.add(now, 10ms);
  CHECK(rtt.smoothed() == 10ms);
  CHECK(rtt.timeout() == 30ms);
  for (int i = 0; i < 100; ++i) rtt.add(now += 100ms, 20ms);
  CHECK(rtt.smoothed() > 19ms);
  CHECK(rtt.smoothed() <= 20ms);
  for (int i = 0; i < 100; ++i) rtt.add(now += 100ms, 20ms);
  CHECK(rtt.least() == 20ms);
  CHECK(rtt.timeout() >= rtt.smoothed() + 10ms);
}

TEST_CASE("RateModel: fills the path whatever its length, and measures it", "[rate]") {
  const Duration delay = GENERATE(Duration(500us), Duration(5ms), Duration(20ms));
  Line line{.rate = 40'000, .delay = delay};
  line.run(2s);
  CHECK(line.delivered > 0.9 * 2 * 40'000 - 8000);
  CHECK(line.model.rate() > 36'000);
  CHECK(line.model.rate() < 46'000);
  CHECK(line.model.window() < 3 * 40'000 * to_seconds(delay) + 250);
}

TEST_CASE("RateModel: loss at random slows nothing down", "[rate]") {
  Line line{.rate = 40'000, .delay = 10ms, .loses_every = 50};
  line.run(2s);
  CHECK(line.delivered > 0.85 * 2 * 40'000);
}

TEST_CASE("RateModel: a shallow buffer that overflows makes it give way", "[rate]") {
  Line line{.rate = 20'000, .delay = 20ms, .drops_above = 200};
  line.run(3s);
  line.sent = line.lost = 0;
  line.run(3s);
  CHECK(line.lost < 0.15 * line.sent);
  CHECK(line.delivered > 0.7 * 6 * 20'000);
}

TEST_CASE("RateModel: without work its estimate stays, and silence starts it over", "[rate]") {
  Line line{.rate = 40'000, .delay = 5ms};
  line.run(1s);
  const double measured = line.model.rate();
  for (int i = 0; i < 100; ++i) {
    line.now += 50ms;
    line.model.sent(line.now, 4);
    line.model.not_used_up();
    line.now += 6ms;
    line.model.delivered(line.now, 4);
  }
  CHECK(line.model.rate() == Approx(measured));
  line.model.collapse();
  CHECK(line.model.window() == 4);
}

TEST_CASE("RateModel: a server taken for slow is lifted by what comes in less than a round", "[rate]") {
  RateModel model(3000);
  TimePoint now{1h};
  const auto deliver = [&](unsigned chunks, Duration within) {
    model.sent(now, chunks);
    now += within;
    model.rtt.add(now, within);
    model.delivered(now, chunks);
  };
  deliver(1, 100ms);
  const double slow = model.rate();
  CHECK(slow == Approx(10));
  SECTION("four chunks at once are more than that rate") {
    deliver(4, 100us);
    CHECK(model.rate() > 4 * slow);
  }
  SECTION("four that took a round are measured as what they are") {
    deliver(4, 400ms);
    CHECK(model.rate() == Approx(10));
  }
}
