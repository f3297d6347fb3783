#include <catch2/catch.hpp>
#include <random>

#include "../../bench/model/emulated_machine.hpp"
#include "../../bench/model/schedule.hpp"

using namespace farol::model;

namespace {

/// Mean response time of a machine that is offered Poisson arrivals; `work` draws the size of a job.
template <typename Work>
double mean_response(double cores, double load, double mean, Work work, int jobs) {
  std::mt19937_64 random(7);
  std::exponential_distribution<double> gap(load * cores / mean);
  EmulatedMachine machine(cores, 1);
  std::vector<double> began;
  double now = 0, sum = 0;
  int ended = 0;
  for (int i = 0; i < jobs; ++i) {
    now += gap(random);
    machine.advance(now, [&](auto job, double at) {
      sum += at - began[job];
      ++ended;
    });
    machine.start(now, began.size(), work(random), 0);
    began.push_back(now);
  }
  return sum / ended;
}

double exponential(std::mt19937_64& random) { return 0.05 * std::exponential_distribution<double>()(random); }
double bimodal(std::mt19937_64& random) {
  return exponential(random) * (std::uniform_real_distribution<double>()(random) < 0.9 ? 0.5 : 5.5);
}

}  // namespace

TEST_CASE("ProcessorSharing: one core answers as M/M/1-PS says, whatever the distribution", "[study]") {
  const double theory = 0.05 / (1 - 0.7);
  CHECK(mean_response(1, 0.7, 0.05, exponential, 400'000) == Approx(theory).epsilon(0.03));
  CHECK(mean_response(1, 0.7, 0.05, bimodal, 400'000) == Approx(theory).epsilon(0.05));
}

TEST_CASE("ProcessorSharing: four cores answer as M/M/4 says", "[study]") {
  // Erlang C at 2.8 of 4: 0.4287 wait, on average 0.05 / (4 · 0.3).
  CHECK(mean_response(4, 0.7, 0.05, exponential, 400'000) == Approx(0.05 + 0.4287 * 0.05 / 1.2).epsilon(0.02));
}

TEST_CASE("ProcessorSharing: what others take slows jobs down and is seen by the agent", "[study]") {
  EmulatedMachine machine(2, 1);
  machine.set_stolen(0, 1);
  machine.start(0, 1, 1, 0);
  machine.start(0, 2, 1, 0);
  CHECK(machine.next_event() == Approx(2));  // two jobs on the one core that is left
  CHECK(machine.figures(machine.seen(1), 1, 2).cpu == Approx(1));
}

TEST_CASE("EmulatedMachine: a wait comes after the CPU and takes none", "[study]") {
  EmulatedMachine machine(1, 1);
  machine.wait_scale = 2;
  machine.start(0, 1, 0.5, 1);
  std::vector<double> ends;
  machine.advance(10, [&](auto, double at) { ends.push_back(at); });
  REQUIRE(ends.size() == 1);
  CHECK(ends[0] == Approx(2.5));
  CHECK(machine.cpu_used(10) == Approx(0.5));
}

TEST_CASE("EmulatedMachine: a disk is busy without CPU, and a liar says what it likes", "[study]") {
  EmulatedMachine machine(1, 1);
  machine.shows = 0.1;
  machine.start(0, 1, 5, 0);
  const double seen = machine.seen(2);
  CHECK(machine.figures(seen, 2, 1).cpu == Approx(0.1));
  machine.lie = Lie::idle;
  CHECK(machine.figures(seen, 2, 9).connections == 0);
  machine.lie = Lie::full;
  CHECK(machine.figures(seen, 2, 9).cpu == 1);
}

TEST_CASE("EmulatedMachine: a process that dies takes its jobs with it", "[study]") {
  EmulatedMachine machine(1, 1);
  machine.start(0, 1, 1, 1);
  machine.start(0, 2, 5, 0);
  machine.kill(1);
  CHECK(machine.jobs() == 0);
  CHECK(machine.next_event() == ProcessorSharing::kNever);
}

TEST_CASE("Scheduler: the same seed makes the same load, another seed another", "[study]") {
  LoadSpec spec;
  spec.long_share = 0.3;
  const auto fingerprint = [&] {
    double sum = 0;
    for (const Session& session : Scheduler(spec).sessions())
      for (const Request& request : session.requests) sum += request.due * request.work;
    return sum;
  };
  const double first = fingerprint();
  CHECK(fingerprint() == first);
  spec.seed = 2;
  CHECK(fingerprint() != first);
}

TEST_CASE("Scheduler: rate and work are what was asked for", "[study]") {
  LoadSpec spec;
  spec.seconds = 400;
  for (const char* work : {"exponential", "bimodal", "pareto", "fixed"}) {
    spec.work = work;
    const auto sessions = Scheduler(spec).sessions();
    double sum = 0;
    for (const Session& session : sessions) sum += session.requests[0].work;
    CHECK(static_cast<double>(sessions.size()) == Approx(spec.rate * spec.seconds).epsilon(0.03));
    CHECK(sum / static_cast<double>(sessions.size()) == Approx(spec.work_mean).epsilon(0.06));
  }
}

TEST_CASE("Scheduler: bursts come in the first second of five", "[study]") {
  LoadSpec spec;
  spec.arrivals = "burst";
  spec.seconds = 500;
  double within = 0, all = 0;
  for (const Session& session : Scheduler(spec).sessions()) {
    ++all;
    if (std::fmod(session.requests[0].due, 5) < 1) ++within;
  }
  CHECK(within / all == Approx(0.5).epsilon(0.05));
  CHECK(all == Approx(spec.rate * spec.seconds).epsilon(0.03));
}

TEST_CASE("Scheduler: a batch comes within 50 ms", "[study]") {
  LoadSpec spec;
  spec.arrivals = "batch";
  spec.batch = 200;
  const auto sessions = Scheduler(spec).sessions();
  REQUIRE(sessions.size() == 6 * 200);  // from the first second on, every 5 s, for 30 s
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const double begins = 1 + 5 * static_cast<double>(i / 200), due = sessions[i].requests[0].due;
    CHECK(due >= begins);
    CHECK(due < begins + 0.05);
    if (i % 200 > 0) CHECK(due > sessions[i - 1].requests[0].due);
  }
}
