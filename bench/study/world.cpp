#include "world.hpp"

#include <utility>

namespace farol::study {
namespace {

constexpr double kSwitch = 10;  ///< seconds that neighbours and foreign clients stay or stay away, on average
constexpr double kGray = 0.1;   ///< what is left of a gray back-end's speed

}  // namespace

void Machine::start(double work, double wait, Ended ended) {
  jobs_.emplace(++last_job_, std::move(ended));
  machine_.start(events_.now(), last_job_, work, wait);
  arm();
}

void Machine::kill() {
  machine_.kill(events_.now());
  for (auto& [job, ended] : std::exchange(jobs_, {})) ended(false);
  arm();
}

void Machine::set_speed(double speed) {
  machine_.set_speed(events_.now(), speed);
  arm();
}

void Machine::set_shows(double share) {
  machine_.seen(events_.now());
  machine_.shows = share;
}

void Machine::set_stolen(double cores) {
  machine_.set_stolen(events_.now(), cores);
  arm();
}

model::Figures Machine::look(Meter& meter) {
  const double now = events_.now(), seen = machine_.seen(now);
  const model::Figures figures = machine_.figures(seen - meter.seen, now - meter.at, connections);
  meter = {now, seen};
  return figures;
}

void Machine::arm() {
  const double next = machine_.next_event();
  ++plan_;
  if (next == model::ProcessorSharing::kNever) return;
  events_.at(std::max(next, events_.now()), [this, plan = plan_] {
    if (plan != plan_) return;
    std::vector<model::EmulatedMachine::Job> done;
    machine_.advance(events_.now(), [&done](auto job, double) { done.push_back(job); });
    for (const auto job : done) {
      ++served;
      const auto ended = jobs_.extract(job);
      ended.mapped()(true);
    }
    arm();
  });
}

World::World(const Scenario& which, std::uint64_t seed)
    : scenario(which), random_(seed * 7919 + 1), network_(seed * 7919 + 2), foreign_on_(which.size, 1) {
  for (std::size_t i = 0; i < which.size; ++i) {
    machines.push_back(std::make_unique<Machine>(events, which.of(which.cores, i), which.of(which.speeds, i)));
    machines[i]->round_trip = which.of(which.round_trips, i);
    machines[i]->emulated().memory = which.of(which.memory, i);
    if (which.neighbours > 0 && i % 2 == 1) plan_neighbour(i, true);
    if (which.foreign > 0 && i % 4 == 0) {
      plan_foreign(i);
      if (which.foreign_switches) plan_foreign_switch(i, false);
    }
  }
  if (which.fault == Fault::low_liar) machines[0]->emulated().lie = model::Lie::idle;
  if (which.fault == Fault::high_liar) machines[0]->emulated().lie = model::Lie::full;
  if (which.fault == Fault::joins) machines[0]->present = machines[0]->serves = machines[0]->agent_up = false;
  events.at(kFaultFrom, [this] { begin_fault(); });
  events.at(kFaultTo, [this] { end_fault(); });
}

bool World::datagram_lost() {
  if (no_datagrams_) return true;
  return scenario.datagram_loss > 0 && std::uniform_real_distribution<double>()(network_) < scenario.datagram_loss;
}

double World::agent_delay(std::size_t machine) {
  Machine& one = *machines[machine];
  const bool busy = static_cast<double>(one.jobs()) > scenario.of(scenario.cores, machine);
  return 0.0002 + (busy ? 0.001 : 0.0001) * std::exponential_distribution<double>()(network_);
}

bool World::flakes() {
  return scenario.flaky > 0 && std::uniform_real_distribution<double>()(network_) < scenario.flaky;
}

void World::plan_neighbour(std::size_t machine, bool noisy) {
  events.in(exponential(kSwitch), [this, machine, noisy] {
    machines[machine]->set_stolen(noisy ? scenario.neighbours * scenario.of(scenario.cores, machine) : 0);
    plan_neighbour(machine, !noisy);
  });
}

void World::plan_foreign(std::size_t machine) {
  const double capacity = scenario.of(scenario.cores, machine) * scenario.of(scenario.speeds, machine);
  const double mean = scenario.shape.work_mean;
  events.in(exponential(mean / (capacity * scenario.foreign)), [this, machine, mean] {
    if (foreign_on_[machine] != 0) {
      ++machines[machine]->connections;
      machines[machine]->start(exponential(mean), 0, [this, machine](bool) { --machines[machine]->connections; });
    }
    plan_foreign(machine);
  });
}

void World::plan_foreign_switch(std::size_t machine, bool on) {
  events.in(exponential(kSwitch), [this, machine, on] {
    foreign_on_[machine] = on ? 1 : 0;
    plan_foreign_switch(machine, !on);
  });
}

void World::begin_fault() {
  Machine& victim = *machines[0];
  faulty_ = scenario.fault != Fault::none;
  switch (scenario.fault) {
    case Fault::none:
    case Fault::low_liar:
    case Fault::high_liar: break;
    case Fault::dead:
    case Fault::black_hole:
    case Fault::service_dead:
      victim.serves = false;
      victim.swallows = scenario.fault == Fault::black_hole;
      victim.agent_up = scenario.fault == Fault::service_dead;
      victim.kill();
      break;
    case Fault::gray_idle: victim.set_shows(kGray); [[fallthrough]];
    case Fault::gray: victim.set_speed(scenario.of(scenario.speeds, 0) * kGray); break;
    case Fault::stolen: victim.set_stolen(0.8 * scenario.of(scenario.cores, 0)); break;
    case Fault::sink: victim.sink = true; break;
    case Fault::joins:
      victim.present = victim.serves = victim.agent_up = true;
      joined(0);
      break;
    case Fault::no_datagrams: no_datagrams_ = true; break;
  }
}

void World::end_fault() {
  Machine& victim = *machines[0];
  faulty_ = no_datagrams_ = victim.sink = victim.swallows = false;
  victim.serves = victim.agent_up = true;
  victim.set_shows(1);
  victim.set_speed(scenario.of(scenario.speeds, 0));
  if (scenario.neighbours == 0) victim.set_stolen(0);
}

}  // namespace farol::study
