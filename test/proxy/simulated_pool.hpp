#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "proxy/monitoring_fixture.hpp"

namespace farol::test {

/// The real table in front of servers that share their processor among their requests, in simulated time: Poisson
/// arrivals, exponential work of 50 ms, a probe per interval, a tick each 100 ms. Seeded, so each run is the same.
class SimulatedPool {
 public:
  struct Server {
    double speed = 1;           ///< 0: accepts and closes at once without a byte
    double cores = 1;           ///< a request uses at most one
    TimePoint joins = kStart;
    std::optional<monitoring::Load> says;  ///< instead of the truth
    double cpu_noise = 0;       ///< added to the truth, at random up to this
  };
  struct Result {
    std::vector<std::size_t> chosen;  ///< how often each, in the window
    double p99_ms = 0;
    std::size_t failed = 0;
    /// Its part of all choices in the window, in fair shares.
    [[nodiscard]] double fair_shares(std::size_t server) const;
  };

  SimulatedPool(proxy::Policy policy, std::vector<Server> servers, Duration probe_interval = 1s);
  /// With other constants, and another course of events.
  SimulatedPool(const proxy::BackendTable::Options& options, std::vector<Server> servers, Duration probe_interval,
                std::uint64_t seed);
  ~SimulatedPool();

  /// Runs with so many requests a second until `end`; counts from `from` on.
  Result run(double per_second, Duration from, Duration end);

 private:
  struct Job {
    double finish = 0;  ///< in the server's work so far
    TimePoint begun{};
    std::size_t number = 0;
    bool operator<(const Job& other) const { return finish > other.finish; }
  };
  struct Running;

  void admit(std::size_t server);
  static double rate(const Running& server);
  void advance(Running& server, TimePoint to) const;
  [[nodiscard]] TimePoint next_completion(const Running& server) const;
  void arrive(Result& result, bool counted);
  void complete(Running& server, std::vector<double>& latencies, bool counted);
  void probe(Running& server);
  double exponential(double mean) { return std::exponential_distribution<double>(1 / mean)(random_); }

  proxy::BackendTable table_;
  proxy::Pool& pool_;
  const Duration interval_;
  TimePoint now_ = kStart;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Running>> servers_;
  std::map<std::size_t, proxy::Lease> leases_;
  std::size_t next_job_ = 0;
};

}  // namespace farol::test
