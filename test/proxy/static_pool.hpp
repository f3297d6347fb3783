#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/monitoring_fixture.hpp"
#include "proxy/pool.hpp"

namespace farol::test {

/// A pool of configured back-ends that all accept connections.
struct StaticPool {
  explicit StaticPool(Policy policy) : bench(options(policy)) {}

  static BackendTable::Options options(Policy policy) {
    BackendTable::Options result;
    result.policy = policy;
    return result;
  }
  Backend& add(const char* address, double weight = 1, bool backup = false) {
    Backend& added = bench.add_static(address);
    added.weight = weight;
    added.backup = backup;
    added.take_check(true, bench.now, bench.timers);
    return added;
  }
  /// A connection for a client; empty without one.
  std::optional<proxy::Lease> acquire(std::uint64_t client = 0, const std::vector<std::uint64_t>& tried = {}) {
    bench.table.tick(bench.now);
    return bench.table.acquire(pool(), {tried, bench.now, client});
  }
  std::string chosen(std::uint64_t client = 0, const std::vector<std::uint64_t>& tried = {}) {
    const auto lease = acquire(client, tried);
    return lease ? lease->address().text() : "nobody";
  }
  proxy::Pool& pool() { return bench.table.name_pool(std::string(monitoring::kDefaultPool)); }
  std::vector<proxy::Decision> decisions() { return bench.table.decisions(); }

  Bench bench;
};

}  // namespace farol::test
