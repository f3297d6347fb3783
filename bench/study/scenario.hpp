#pragma once

#include <string>
#include <vector>

#include "../model/schedule.hpp"

namespace farol::study {

/// What goes wrong with the first back-end between kFaultFrom and kFaultTo.
enum class Fault {
  none,
  dead,          ///< the host refuses connections, its agent is silent
  black_hole,    ///< the same, but a connection attempt has to time out
  service_dead,  ///< connections are refused while the agent answers
  gray,          ///< ten times slower, and its CPU is busy
  gray_idle,     ///< ten times slower, and its CPU seems idle
  stolen,        ///< another tenant takes 80 % of its CPU
  sink,          ///< accepts and closes at once
  joins,         ///< is not there before
  low_liar,      ///< its agent always says that it is idle (from the start)
  high_liar,     ///< or full (the report's Test 2)
  no_datagrams,  ///< of any agent arrive
};

inline constexpr double kWarm = 20, kEnd = 100, kFaultFrom = 40, kFaultTo = 80;

/// A pool, its clients and its misfortunes. Lists are repeated over the pool.
struct Scenario {
  std::string name;
  double load = 0.7;  ///< offered work by what the pool can do
  std::size_t size = 16;
  std::vector<double> cores{4}, speeds{1, 0.5, 1.5, 1}, memory{0.4}, round_trips{0.0005};
  model::LoadSpec shape;         ///< but for its rate, its length and its seed
  std::size_t proxies = 1;
  double datagram_loss = 0;      ///< each way
  double neighbours = 0;         ///< share of the cores that other tenants take from every other back-end, on and off
  double foreign = 0;            ///< share of every fourth back-end that is used past the proxies
  bool foreign_switches = false; ///< on and off
  double flaky = 0;              ///< share of the connections that any back-end closes without a byte
  Fault fault = Fault::none;

  [[nodiscard]] double of(const std::vector<double>& list, std::size_t i) const { return list[i % list.size()]; }
  /// Cores × speed that are left for the proxies' clients, on average.
  [[nodiscard]] double capacity() const;
  [[nodiscard]] model::LoadSpec load_spec(std::uint64_t seed) const;
};

/// The suite over which means are taken; those after the first `steady_count` have a fault.
const std::vector<Scenario>& suite();
/// A few of the suite that the smoke test can afford. Throws std::out_of_range for an unknown name.
const Scenario& scenario(const std::string& name);

}  // namespace farol::study
