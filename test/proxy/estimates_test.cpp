#include "proxy/estimates.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{1000h};
const WeightedConfig kConfig;  // for a probe each 5 s

monitoring::Load load(std::uint16_t cpu, std::uint16_t memory, std::uint32_t machine, std::uint32_t service) {
  return {cpu, memory, machine, service};
}

struct Known {
  Known() { signals.changed = &changed; }
  [[nodiscard]] LoadView view(TimePoint now = kStart, bool reporting = true) const {
    return estimates.view(reporting, signals, now);
  }
  Estimates estimates{kConfig};
  ChangedSet changed{1};
  BackendSignals signals;
};

}  // namespace

TEST_CASE("Estimates: weighted sees the service's connections that are not ours, report the machine's", "[estimates]") {
  Known known;
  known.estimates.take_report(load(1000, 2000, 40, 12), 5, kStart);
  CHECK(known.view().foreign == 7);
  CHECK(known.estimates.report_score().components.tcp == Approx(.3 * 40 / 10));
  known.estimates.take_report(load(1000, 2000, 40, 3), 5, kStart + 1h);  // ours that it does not see yet
  CHECK(known.view().foreign == Approx(0).margin(1e-9));
}

TEST_CASE("Estimates: CPU, RTT and others' connections are smoothed for weighted, memory is not, report sees the last",
          "[estimates]") {
  Known known;
  known.estimates.probe_answered(10ms, false, kStart);
  known.estimates.take_report(load(1000, 2000, 0, 0), 0, kStart);
  known.estimates.probe_answered(30ms, false, kStart + 5s);
  known.estimates.take_report(load(9000, 8000, 0, 100), 0, kStart + 5s);
  const LoadView view = known.view(kStart + 5s);
  CHECK(view.cpu == Approx(.9 - .8 * std::exp(-5 / 40.0)));
  CHECK(view.rtt_ms == Approx(30 - 20 * std::exp(-5 / 10.0)));
  CHECK(view.foreign == Approx(100 - 100 * std::exp(-5 / 10.0)));
  CHECK(view.memory == .8);
  CHECK(known.estimates.report_score().components.cpu == Approx(.45));
  CHECK(known.estimates.report_score().components.rtt == Approx(.45));
}

TEST_CASE("Estimates: a lost probe counts, of a silent agent only for report", "[estimates]") {
  Known known;
  known.estimates.probe_lost(false, false, true);
  CHECK(known.view().loss == Approx(.02));
  known.estimates.probe_lost(true, false, false);
  CHECK(known.view().loss == Approx(.02));
  CHECK(known.estimates.loss().share() == 1);
  known.estimates.probe_answered(1ms, false, kStart);
  CHECK(known.view().loss == Approx(.02 * .98));
}

TEST_CASE("Estimates: of probes that are sent because one was lost neither loss nor answer counts", "[estimates]") {
  Known known;
  known.estimates.probe_lost(false, false, true);
  known.estimates.probe_lost(false, true, false);
  known.estimates.probe_answered(1ms, true, kStart);
  CHECK(known.view().loss == Approx(.02));
  CHECK(known.estimates.loss().share() == Approx(2 / 3.0));  // the report counts them all
}

TEST_CASE("Estimates: who has never reported does not report, nor who is silent", "[estimates]") {
  Known known;
  CHECK_FALSE(known.view().reporting);
  known.estimates.take_report({}, 0, kStart);
  CHECK(known.view().reporting);
  CHECK_FALSE(known.view(kStart, false).reporting);
}

TEST_CASE("Estimates: busy are those owed a reply and those on which one flows", "[estimates]") {
  Known known;
  for (int i = 0; i < 4; ++i) known.signals.opened();
  for (int i = 0; i < 3; ++i) known.signals.paid();
  CHECK(known.view().open == 4);
  CHECK(known.view().busy == 1);
  for (int i = 0; i < 2; ++i) known.signals.flowed();
  known.estimates.take_signals(known.signals, 1, kStart);
  CHECK(known.view().busy == 3);
  known.estimates.take_signals(known.signals, 1, kStart);
  CHECK(known.view().busy == 1);  // it has ended: nobody counted it again
  for (int i = 0; i < 10; ++i) known.signals.flowed();
  known.estimates.take_signals(known.signals, 5, kStart);  // two connections, each in five ticks
  CHECK(known.view().busy == 3);
  for (int i = 0; i < 10; ++i) known.signals.flowed();
  known.estimates.take_signals(known.signals, 1, kStart);
  CHECK(known.view().busy == 4);  // never more than there are
}

TEST_CASE("Estimates: first bytes become the usual time, and successes", "[estimates]") {
  Known known;
  for (int i = 0; i < 8; ++i) known.estimates.connection_failed(kStart);
  const double before = known.view().failure;
  CHECK_FALSE(known.estimates.take_signals(known.signals, 1, kStart));
  CHECK_FALSE(known.view().first_byte);
  known.signals.first_byte(99ms);
  known.signals.first_byte(99ms);
  CHECK(known.estimates.take_signals(known.signals, 1, kStart));
  REQUIRE(known.view().first_byte);
  CHECK(std::exp(*known.view().first_byte) == Approx(100'000).epsilon(.001));  // microseconds
  CHECK(known.view().first_byte_trust == 1);
  CHECK(known.view().failure == Approx(before * 15 * 15 / 256));
}

TEST_CASE("Estimates: a new agent is not judged by the old one, the service still is", "[estimates]") {
  Known known;
  known.estimates.probe_answered(10ms, false, kStart);
  known.estimates.probe_lost(false, false, true);
  known.estimates.take_report(load(5000, 5000, 9, 9), 0, kStart);
  known.estimates.connection_failed(kStart);
  known.signals.first_byte(1ms);
  known.estimates.take_signals(known.signals, 1, kStart);
  known.estimates.new_agent();
  const LoadView view = known.view();
  CHECK(view.rtt_ms == 0);
  CHECK(view.cpu == 0);
  CHECK(view.foreign == 0);
  CHECK(view.loss == 0);
  CHECK(view.failure > 0);
  CHECK(view.first_byte);
}
