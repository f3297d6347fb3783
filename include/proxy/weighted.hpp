#pragma once

#include <optional>
#include <span>

#include "proxy/status.hpp"
#include "proxy/weighted_config.hpp"

namespace farol::proxy {

/// The policy `weighted`: the report's formula over live figures (docs/BALANCING.md). Pure functions of values that
/// were taken at one moment; the estimates in them have been aged to it.

/// One back-end at one moment. Shares are 0 to 1.
struct LoadView {
  bool reporting = false;      ///< its agent has reported and is not silent: the next four mean something
  double rtt_ms = 0, cpu = 0, memory = 0;
  double foreign = 0;          ///< connections of its service that are not ours
  double loss = 0;             ///< of probes
  double failure = 0;          ///< of connections: failed attempts, and those closed before the first byte
  std::optional<double> first_byte;  ///< logarithm of the usual time to the first byte
  double first_byte_trust = 0;       ///< 1 when fresh, towards 0 with age
  double open = 0, busy = 0;   ///< our connections; busy: a reply is owed, or flows
  double weight = 1, ramp = 1; ///< the operator's, and slow start's
};

/// What a back-end's figures are compared with: the rest of its pool at that moment. Lower medians, so that with two
/// back-ends it is the better one.
struct PoolView {
  bool blind = false;          ///< more than half do not report: only our own counts can be compared
  double loss_band = 0, failure_band = 0;  ///< what chance explains
  std::optional<double> first_byte;
  double busy_share = 1;       ///< of our open connections
  double load = 0;             ///< what a back-end has to do on average, in connections
  double claims = 0;           ///< median of what agents claim
  LoadView mean;               ///< of those that report: stands for one that does not
};

/// A score, and how it moves: it is linear in the back-end's own load until something else changes.
struct WeightedScore {
  ScoreComponents components;
  double base = 0;      ///< the score without own connections
  double per_load = 0;  ///< and for each connection's worth of own load
};

PoolView survey(std::span<const LoadView> backends, const WeightedConfig& config);
WeightedScore weighted_score(const LoadView& backend, const PoolView& pool, const WeightedConfig& config);

/// Own connections in connections' worth of load: idle ones count little.
double own_load(double open, double busy, const WeightedConfig& config);

}  // namespace farol::proxy
