#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dispatcher.hpp"
#include "world.hpp"

namespace farol::study {

/// Makes the proxy `number` of a run.
using MakeDispatcher = std::function<std::unique_ptr<Dispatcher>(World& world, std::uint64_t seed)>;

/// What came of a run. Latencies are milliseconds, of answered requests after the warm-up; a request without an answer at
/// the end counts with the time it has waited.
struct Outcome {
  std::size_t requests = 0;
  double mean = 0, p50 = 0, p99 = 0, p999 = 0;
  double failed = 0;        ///< share of the requests
  double fault_share = 0;   ///< share of the attempts that went to the first back-end while it misbehaved
  double fault_failed = 0;  ///< share of the requests that failed meanwhile
  std::size_t deepest = 0;  ///< most requests at once at one back-end
};

/// Runs a scenario. Deterministic in its arguments.
Outcome simulate(const Scenario& scenario, const MakeDispatcher& make, std::uint64_t seed);

}  // namespace farol::study
