#include "contenders.hpp"

#include <fmt/format.h>

#include <utility>

namespace farol::study {
namespace {

using proxy::Policy;
using proxy::WeightedConfig;

Contender plain(std::string name, Policy policy, double interval) {
  Farol::Settings settings;
  settings.policy = policy;
  settings.probe_interval = interval;
  return farol_as(std::move(name), settings);
}

constexpr double kInterval = 5;  ///< the product's default, for ablations and weights
constexpr auto kNoTime = std::chrono::microseconds(1);

}  // namespace

Contender farol_as(std::string name, const Farol::Settings& settings) {
  return {std::move(name), [settings](World& world, std::uint64_t seed) -> std::unique_ptr<Dispatcher> {
            return std::make_unique<Farol>(world, settings, seed);
          }};
}

Contender rival_as(std::string name, const Rival::Settings& settings) {
  return {std::move(name), [settings](World& world, std::uint64_t seed) -> std::unique_ptr<Dispatcher> {
            return std::make_unique<Rival>(world, settings, seed);
          }};
}

Contender reference() { return plain("least-connections", Policy::least_connections, kInterval); }

Contender weighted(std::string name, double interval, const std::function<void(WeightedConfig&)>& change) {
  Farol::Settings settings;
  settings.probe_interval = interval;
  settings.weighted = WeightedConfig::for_interval(from_seconds(interval));
  if (change) change(settings.weighted);
  return farol_as(std::move(name), settings);
}

std::vector<Contender> field() {
  return {
      weighted("weighted, 5 s (default)", 5),
      weighted("weighted, 1 s", 1),
      reference(),
      plain("round-robin", Policy::round_robin, 5),
      plain("report, 5 s (default)", Policy::report, 5),
      plain("report, 1 s", Policy::report, 1),
      plain("report, 0.1 s", Policy::report, 0.1),
      rival_as("two random, fewer connections", {Rule::random_two}),
      rival_as("agent-check, leastconn, 2 s", {Rule::agent_connections}),
      rival_as("agent-check, roundrobin, 2 s", {Rule::agent_round_robin}),
      rival_as("peak EWMA", {Rule::peak_ewma}),
      rival_as("Prequal, quantile 0.84", {Rule::prequal, 2, 0.84}),
      rival_as("Prequal, quantile 0.7", {Rule::prequal, 2, 0.7}),
  };
}

std::vector<Contender> ablations() {
  const auto without = [](const char* what, const std::function<void(WeightedConfig&)>& change) {
    return weighted(what, kInterval, change);
  };
  return {
      weighted("nothing: `weighted` as it is", kInterval),
      without("connections (TCP)", [](auto& c) { c.formula.tcp_weight = 0; }),
      without("CPU", [](auto& c) { c.formula.cpu_weight = c.cpu_ramp = 0; }),
      without("RTT", [](auto& c) { c.formula.rtt_weight = 0; }),
      without("memory", [](auto& c) { c.formula.memory_weight = c.memory_ramp = 0; }),
      without("loss: probes and failures", [](auto& c) { c.formula.loss_weight = 0; }),
      without("loss of probes", [](auto& c) { c.loss_step = 0; }),
      without("failures of connections", [](auto& c) { c.failure_step = 0; }),
      without("CPU, RTT, memory and loss of probes", [](auto& c) {
        c.formula.cpu_weight = c.cpu_ramp = c.formula.rtt_weight = 0;
        c.formula.memory_weight = c.memory_ramp = c.loss_step = 0;
      }),
      without("the time to the first byte", [](auto& c) { c.slow_most = 1; }),
      without("busy or idle: all connections count alike", [](auto& c) { c.idle = 1; }),
      without("smoothing of CPU, RTT and others' connections",
              [](auto& c) { c.cpu_tau = c.rtt_tau = c.foreign_tau = kNoTime; }),
      without("the ramps above the thresholds", [](auto& c) { c.cpu_ramp = c.memory_ramp = 0; }),
      without("the bands of chance around loss and failures", [](auto& c) { c.band_width = 0; }),
      without("the limit of an agent's credit", [](auto& c) { c.credit = 1e9; }),
      without("the tie", [](auto& c) { c.tie = 0; }),
      without("slow start", [](auto& c) { c.slow_start_from = 1; }),
      without("the report's proportions: five weights of 0.2", [](auto& c) {
        auto& f = c.formula;
        f.rtt_weight = f.tcp_weight = f.loss_weight = f.cpu_weight = f.memory_weight = 0.2;
      }),
  };
}

std::vector<Contender> weights() {
  std::vector<Contender> all{weighted("as it is", kInterval)};
  const auto add = [&all](const char* what, auto set) {
    for (const double factor : {0.5, 2.0})
      all.push_back(weighted(fmt::format("{} × {}", what, factor), kInterval, [=](WeightedConfig& c) { set(c, factor); }));
  };
  add("TCP weight", [](WeightedConfig& c, double f) { c.formula.tcp_weight *= f; });
  add("CPU weight", [](WeightedConfig& c, double f) { c.formula.cpu_weight *= f; });
  add("RTT weight", [](WeightedConfig& c, double f) { c.formula.rtt_weight *= f; });
  add("memory weight", [](WeightedConfig& c, double f) { c.formula.memory_weight *= f; });
  add("loss weight", [](WeightedConfig& c, double f) { c.formula.loss_weight *= f; });
  add("idle share", [](WeightedConfig& c, double f) { c.idle *= f; });
  add("CPU time constant", [](WeightedConfig& c, double f) { c.cpu_tau = from_seconds(to_seconds(c.cpu_tau) * f); });
  add("CPU ramp", [](WeightedConfig& c, double f) { c.cpu_ramp *= f; });
  add("memory ramp", [](WeightedConfig& c, double f) { c.memory_ramp *= f; });
  add("failure step", [](WeightedConfig& c, double f) { c.failure_step *= f; });
  add("most slowness", [](WeightedConfig& c, double f) { c.slow_most *= f; });
  add("credit", [](WeightedConfig& c, double f) { c.credit *= f; });
  add("tie", [](WeightedConfig& c, double f) { c.tie *= f; });
  return all;
}

std::vector<Contender> by_staleness(double interval) {
  return {
      weighted("weighted", interval),
      plain("report", Policy::report, interval),
      rival_as("agent-check, leastconn", {Rule::agent_connections, interval}),
      rival_as("agent-check, roundrobin", {Rule::agent_round_robin, interval}),
  };
}

}  // namespace farol::study
