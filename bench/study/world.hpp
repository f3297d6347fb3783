#pragma once

#include <functional>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "../model/emulated_machine.hpp"
#include "events.hpp"
#include "scenario.hpp"

namespace farol::study {

/// One back-end of the simulation: an emulated machine with a service and an agent on it. Borrows the events.
class Machine {
 public:
  using Ended = std::function<void(bool well)>;

  Machine(Events& events, double cores, double speed) : machine_(cores, speed), events_(events) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void start(double work, double wait, Ended ended);
  /// The process dies: its connections break.
  void kill();
  void set_speed(double speed);
  void set_shows(double share);
  void set_stolen(double cores);

  /// CPU as seen between two looks; one for each who looks.
  struct Meter {
    double at = 0, seen = 0;
  };
  model::Figures look(Meter& meter);
  [[nodiscard]] std::size_t jobs() const { return machine_.jobs(); }
  [[nodiscard]] model::EmulatedMachine& emulated() { return machine_; }

  bool serves = true;        ///< accepts connections
  bool swallows = false;     ///< … or seems to: attempts time out
  bool agent_up = true;
  bool present = true;       ///< exists at all
  bool sink = false;
  double round_trip = 0;
  unsigned connections = 0;
  std::uint64_t served = 0;

 private:
  void arm();

  model::EmulatedMachine machine_;
  Events& events_;
  std::unordered_map<model::EmulatedMachine::Job, Ended> jobs_;
  model::EmulatedMachine::Job last_job_ = 0;
  std::uint64_t plan_ = 0;  ///< only the newest planned event counts
};

/// The machines of a scenario, what happens to them, and the network between. Deterministic in the seed.
class World {
 public:
  World(const Scenario& scenario, std::uint64_t seed);

  Events events;
  const Scenario& scenario;
  std::vector<std::unique_ptr<Machine>> machines;
  /// Told when the first back-end comes into being (Fault::joins).
  std::function<void(std::size_t)> joined = [](std::size_t) {};

  /// Whether a datagram is lost, one way.
  [[nodiscard]] bool datagram_lost();
  /// What an agent needs to answer, and what the network adds to it.
  [[nodiscard]] double agent_delay(std::size_t machine);
  [[nodiscard]] bool flakes();
  [[nodiscard]] bool faulty() const { return faulty_; }

 private:
  double exponential(double mean) { return mean * std::exponential_distribution<double>()(random_); }
  void plan_neighbour(std::size_t machine, bool noisy);
  void plan_foreign(std::size_t machine);
  void plan_foreign_switch(std::size_t machine, bool on);
  void begin_fault();
  void end_fault();

  std::mt19937_64 random_, network_;
  std::vector<char> foreign_on_;
  bool faulty_ = false, no_datagrams_ = false;
};

}  // namespace farol::study
