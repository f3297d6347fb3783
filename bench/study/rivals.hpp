#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "dispatcher.hpp"
#include "world.hpp"

namespace farol::study {

/// What other proxies do, each rule as its documentation or paper has it. All of them avoid a back-end for 1 to 10 s after
/// a failed connect, doubling, which is more than some really do.
enum class Rule {
  random_two,          ///< two at random, fewer connections (HAProxy random(2), nginx random two, Envoy)
  agent_connections,   ///< fewest connections by weight; the weight is the idle CPU, asked for every interval (HAProxy)
  agent_round_robin,   ///< in turn by that weight
  peak_ewma,           ///< two at random, lower latency × (connections + 1); a peak decays with 10 s (Finagle)
  prequal,             ///< probes to random back-ends with each request; hot-cold rule (Wydrowski et al., NSDI '24)
};

class Rival final : public Dispatcher {
 public:
  struct Settings {
    Rule rule = Rule::random_two;
    double interval = 2;     ///< of agent checks
    double quantile = 0.7;   ///< prequal: above it a back-end counts as hot
  };

  Rival(World& world, const Settings& settings, std::uint64_t seed);
  std::unique_ptr<Connection> open(std::span<const std::size_t> tried) override;
  void join(std::size_t backend) override;

 private:
  class Count;
  struct View {
    bool known = false;
    unsigned open = 0;
    double ejected_until = 0;
    int failures = 0;
    std::uint64_t chosen = 0;
    double weight = 100, credit = 0;        ///< agent rules
    double peak = 0, peak_at = 0;           ///< peak_ewma, seconds
    std::map<unsigned, std::deque<double>> latencies;  ///< prequal's agent: by requests in flight at arrival
  };
  struct Probe {
    std::size_t backend = 0;
    double at = 0;
    unsigned in_flight = 0;
    double latency = 0;
    int uses = 0;
  };

  std::size_t choose(const std::vector<std::size_t>& candidates);
  std::size_t random_of(const std::vector<std::size_t>& candidates);
  std::size_t better_of_two(const std::vector<std::size_t>& candidates);
  std::size_t by_agent(const std::vector<std::size_t>& candidates);
  std::size_t prequal(const std::vector<std::size_t>& candidates);
  void ask_agents();
  void send_prequal_probes();
  void take_prequal_probe(const Probe& probe);
  void retire_prequal_probe(double hot);
  [[nodiscard]] double latency_at(std::size_t backend, unsigned in_flight) const;
  [[nodiscard]] double hot_from() const;
  [[nodiscard]] double cost(std::size_t backend) const;
  void finished(std::size_t backend, double latency, unsigned in_flight_at_start);

  World& world_;
  const Settings settings_;
  std::mt19937_64 random_;
  std::vector<View> views_;
  std::vector<Machine::Meter> meters_;
  std::uint64_t choices_ = 0;
  std::vector<Probe> probes_;
  std::deque<unsigned> in_flights_;  ///< of late probes: what "hot" is measured by
  bool retire_oldest_ = true;
};

}  // namespace farol::study
