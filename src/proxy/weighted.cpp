#include "proxy/weighted.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace farol::proxy {
namespace {

/// How many past samples an exponential mean with this step amounts to.
double samples_behind(double step) { return 2 / step - 1; }

/// The most that chance makes of a share whose usual value is `median`, estimated from `n` samples.
double band(double median, double n, double width) { return median + width * std::sqrt((median + 1 / n) / n); }

/// Of an empty list: 0.
double lower_median(std::vector<double>& values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The report's part for a share, with a ramp from its threshold to 100 % where the report cuts.
double share_part(double share, double weight, double ideal, double threshold, double ramp) {
  const double above = std::max(0.0, share - threshold) / (1 - threshold);
  return weight * share / ideal + ramp * above;
}

double cpu_part(double cpu, const WeightedConfig& config) {
  const ScoreConfig& f = config.formula;
  return share_part(cpu, f.cpu_weight, f.cpu_ideal, f.cpu_threshold, config.cpu_ramp);
}

double memory_part(double memory, const WeightedConfig& config) {
  const ScoreConfig& f = config.formula;
  return share_part(memory, f.memory_weight, f.memory_ideal, f.memory_threshold, config.memory_ramp);
}

double connection_part(const WeightedConfig& config) { return config.formula.tcp_weight / config.formula.tcp_ideal; }

/// Connections of others are as busy as ours are on the whole: more cannot be known.
double foreign_load(double foreign, double busy_share, const WeightedConfig& config) {
  return foreign * (busy_share + config.idle * (1 - busy_share));
}

/// What rests on the agent's word alone: CPU, memory, connections of others.
double claims(const LoadView& backend, double busy_share, const WeightedConfig& config) {
  return cpu_part(backend.cpu, config) + memory_part(backend.memory, config) +
         connection_part(config) * foreign_load(backend.foreign, busy_share, config);
}

/// How often our connections to it are counted: more than once when it answers more slowly than the pool.
double slowness(const LoadView& backend, const PoolView& pool, const WeightedConfig& config) {
  if (!backend.first_byte || !pool.first_byte) return 1;
  const double times = std::exp((*backend.first_byte - *pool.first_byte) * backend.first_byte_trust);
  return std::clamp(times / config.slow_from, 1.0, config.slow_most);
}

LoadView mean_of(std::span<const LoadView> backends) {
  LoadView mean;
  double count = 0;
  for (const LoadView& backend : backends) {
    if (!backend.reporting) continue;
    ++count;
    mean.rtt_ms += backend.rtt_ms;
    mean.cpu += backend.cpu;
    mean.memory += backend.memory;
    mean.foreign += backend.foreign;
  }
  for (double* sum : {&mean.rtt_ms, &mean.cpu, &mean.memory, &mean.foreign}) *sum /= std::max(1.0, count);
  return mean;
}

}  // namespace

double own_load(double open, double busy, const WeightedConfig& config) {
  return busy + config.idle * (open - busy);
}

PoolView survey(std::span<const LoadView> backends, const WeightedConfig& config) {
  PoolView pool;
  double open = 0, busy = 0;
  std::vector<double> loss, failure, first_byte, claimed;
  for (const LoadView& backend : backends) {
    open += backend.open;
    busy += backend.busy;
    failure.push_back(backend.failure);
    if (backend.first_byte) first_byte.push_back(*backend.first_byte);
    if (backend.reporting) loss.push_back(backend.loss);
  }
  pool.blind = loss.size() * 2 < backends.size();
  if (open > 0) pool.busy_share = busy / open;
  if (!backends.empty()) pool.load = own_load(open, busy, config) / static_cast<double>(backends.size());
  for (const LoadView& backend : backends)
    if (backend.reporting) claimed.push_back(claims(backend, pool.busy_share, config));
  pool.loss_band = band(lower_median(loss), samples_behind(config.loss_step), config.band_width);
  pool.failure_band = band(lower_median(failure), samples_behind(config.failure_step), config.band_width);
  if (!first_byte.empty()) pool.first_byte = lower_median(first_byte);
  pool.claims = lower_median(claimed);
  pool.mean = mean_of(backends);
  return pool;
}

WeightedScore weighted_score(const LoadView& backend, const PoolView& pool, const WeightedConfig& config) {
  const ScoreConfig& f = config.formula;
  WeightedScore score;
  ScoreComponents& parts = score.components;
  const double connection = connection_part(config);
  double foreign = 0;
  double lost = backend.failure - pool.failure_band;
  if (!pool.blind) {
    const LoadView& said = backend.reporting ? backend : pool.mean;
    parts.rtt = f.rtt_weight * said.rtt_ms / f.rtt_ideal_ms;
    parts.cpu = cpu_part(said.cpu, config);
    parts.memory = memory_part(said.memory, config);
    parts.doubt = std::max(0.0, pool.claims - connection * config.credit * pool.load -
                                    claims(said, pool.busy_share, config));
    foreign = foreign_load(said.foreign, pool.busy_share, config);
    if (backend.reporting) lost = std::max(lost, backend.loss - pool.loss_band);
  }
  parts.loss = f.loss_weight * std::max(0.0, lost) / f.loss_ideal;
  // slow · (load + 1) − 1 connections, over weight and ramp: an idle heavy back-end is still preferred.
  score.per_load = connection * slowness(backend, pool, config) / (backend.weight * backend.ramp);
  parts.tcp = score.per_load * (foreign + 1) - connection;
  score.base = parts.sum();
  parts.tcp += score.per_load * own_load(backend.open, backend.busy, config);
  return score;
}

}  // namespace farol::proxy
