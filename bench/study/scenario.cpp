#include "scenario.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace farol::study {
namespace {

/// One line for each scenario: its name, and what is different from the default.
template <typename Change>
Scenario make(const char* name, double load, Change change) {
  Scenario scenario;
  scenario.name = name;
  scenario.load = load;
  change(scenario);
  return scenario;
}

void nothing(Scenario&) {}
void equal(Scenario& s) { s.speeds = {1}; }
void unequal_cores(Scenario& s) {
  s.speeds = {1};
  s.cores = {4, 2, 8, 2};
}
void neighbours(Scenario& s) { s.neighbours = 0.8; }
void one_core(Scenario& s) { s.cores = {1}; }
void distance(Scenario& s) { s.round_trips = {0.0005, 0.02}; }
void long_lived(Scenario& s) {
  s.shape.long_share = 0.2;
  s.shape.long_life = 30;
}
void tight_memory(Scenario& s) { s.memory = {0.85, 0.4, 0.4, 0.4}; }

auto sized(std::size_t size) {
  return [size](Scenario& s) { s.size = size; };
}
auto fronted(std::size_t proxies) {
  return [proxies](Scenario& s) { s.proxies = proxies; };
}
auto losing(double share) {
  return [share](Scenario& s) { s.datagram_loss = share; };
}
auto working(const char* work) {
  return [work](Scenario& s) { s.shape.work = work; };
}
auto taking(double mean) {
  return [mean](Scenario& s) { s.shape.work_mean = mean; };
}
auto with(Fault fault) {
  return [fault](Scenario& s) { s.fault = fault; };
}
template <typename... Changes>
auto both(Changes... changes) {
  return [=](Scenario& s) { (changes(s), ...); };
}

std::vector<Scenario> steady() {
  return {
      make("load10", 0.1, nothing),
      make("load30", 0.3, nothing),
      make("load50", 0.5, nothing),
      make("load70", 0.7, nothing),
      make("load85", 0.85, nothing),
      make("load95", 0.95, nothing),
      make("equal70", 0.7, equal),
      make("equal85", 0.85, equal),
      make("cores70", 0.7, unequal_cores),
      make("cores85", 0.85, unequal_cores),
      make("neighbour70", 0.7, neighbours),
      make("neighbour85", 0.85, neighbours),
      make("burst50", 0.5, [](Scenario& s) { s.shape.arrivals = "burst"; }),
      make("bimodal70", 0.7, working("bimodal")),
      make("pareto70", 0.7, working("pareto")),
      make("long70", 0.7, long_lived),
      make("long85", 0.85, long_lived),
      make("distance70", 0.7, distance),
      make("distance30", 0.3, distance),
      make("loss1", 0.7, losing(0.01)),
      make("loss5", 0.7, losing(0.05)),
      make("memory70", 0.7, tight_memory),
      make("memory85", 0.85, tight_memory),
      make("four70", 0.7, sized(4)),
      make("four85", 0.85, sized(4)),
      make("sixty-four85", 0.85, sized(64)),
      make("pair70", 0.7, both(sized(2), equal)),
      make("proxies2-85", 0.85, fronted(2)),
      make("proxies4-70", 0.7, fronted(4)),
      make("proxies4-85", 0.85, fronted(4)),
      make("proxies8-85", 0.85, fronted(8)),
      make("proxies4-cores85", 0.85, both(fronted(4), unequal_cores)),
      make("proxies4-neighbour70", 0.7, both(fronted(4), neighbours)),
      make("proxies4-long70", 0.7, both(fronted(4), long_lived)),
      make("one-core30", 0.3, one_core),
      make("one-core70", 0.7, one_core),
      make("one-core85", 0.85, one_core),
      make("one-core-distance70", 0.7, both(one_core, distance)),
      make("two-cores70", 0.7, [](Scenario& s) { s.cores = {2}; }),
      make("slow-service70", 0.7, taking(1)),
      make("fast-service70", 0.7, taking(0.01)),
      make("flaky1", 0.7, [](Scenario& s) { s.flaky = 0.01; }),
      make("foreign85", 0.85, [](Scenario& s) { s.foreign = 0.5; }),
      make("foreign-switching70", 0.7, [](Scenario& s) {
        s.foreign = 0.6;
        s.foreign_switches = true;
      }),
  };
}

std::vector<Scenario> faulty() {
  const auto four = sized(4);
  const auto two = both(sized(2), equal);
  return {
      make("dead", 0.7, with(Fault::dead)),
      make("black-hole", 0.7, with(Fault::black_hole)),
      make("service-dead", 0.7, with(Fault::service_dead)),
      make("gray", 0.7, with(Fault::gray)),
      make("gray-idle", 0.7, with(Fault::gray_idle)),
      make("gray-idle50", 0.5, with(Fault::gray_idle)),
      make("stolen", 0.7, with(Fault::stolen)),
      make("sink", 0.7, with(Fault::sink)),
      make("joins", 0.7, with(Fault::joins)),
      make("low-liar", 0.7, with(Fault::low_liar)),
      make("high-liar", 0.7, with(Fault::high_liar)),
      make("no-datagrams", 0.7, with(Fault::no_datagrams)),
      make("four-dead", 0.6, both(four, with(Fault::dead))),
      make("four-gray", 0.5, both(four, with(Fault::gray_idle))),
      make("four-low-liar", 0.7, both(four, with(Fault::low_liar))),
      make("two-dead", 0.35, both(two, with(Fault::dead))),
      make("two-gray", 0.35, both(two, with(Fault::gray_idle))),
      make("two-sink", 0.35, both(two, with(Fault::sink))),
      make("proxies4-dead", 0.7, both(fronted(4), with(Fault::dead))),
      make("long-dead", 0.7, both(long_lived, with(Fault::dead))),
  };
}

}  // namespace

double Scenario::capacity() const {
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    double share = 1;
    if (neighbours > 0 && i % 2 == 1) share -= neighbours / 2;
    if (foreign > 0 && i % 4 == 0) share -= foreign * (foreign_switches ? 0.5 : 1);
    sum += of(cores, i) * of(speeds, i) * share;
  }
  return sum;
}

model::LoadSpec Scenario::load_spec(std::uint64_t seed) const {
  model::LoadSpec spec = shape;
  const double requests = 1 + spec.long_share * spec.long_life / spec.think;
  spec.rate = load * capacity() / (spec.work_mean * requests);
  spec.seconds = kEnd;
  spec.targets = proxies;
  spec.seed = seed;
  return spec;
}

const std::vector<Scenario>& suite() {
  static const std::vector<Scenario> all = [] {
    std::vector<Scenario> list = steady();
    std::ranges::move(faulty(), std::back_inserter(list));
    return list;
  }();
  return all;
}

const Scenario& scenario(const std::string& name) {
  for (const Scenario& one : suite())
    if (one.name == name) return one;
  throw std::out_of_range("no scenario '" + name + "'");
}

}  // namespace farol::study
