#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/log.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/membership.hpp"

namespace farol::proxy {

/// Carries the pool from one life of the proxy into the next. A thread of its own first challenges the agents that the
/// life before knew, again and again for some seconds while they do not answer; from then on it writes where the present
/// ones are to the state file, at most once a second and only when that has changed. Those that were not found in time
/// are dropped; they register when they miss us.
/// Owned by the server; borrows what it is given. Any thread may call.
class PoolMemory {
 public:
  /// Reads and writes the file once, so that one that cannot be used ends the start. Throws StartError.
  PoolMemory(BackendTable& table, const Membership& membership, const monitoring::MonitoringSocket& socket,
             std::string file, const Logger& log);
  ~PoolMemory() { stop(); }
  PoolMemory(const PoolMemory&) = delete;
  PoolMemory& operator=(const PoolMemory&) = delete;

  /// Writes what has changed of late and ends the thread.
  void stop();
  /// Ends the thread; the file is somebody else's from now on.
  void give_up_file();

 private:
  void load();
  void run();
  void forget_found();
  void challenge_missing() const;
  void save_if_changed();
  [[nodiscard]] std::string content() const;

  BackendTable& table_;
  const Membership& membership_;
  const monitoring::MonitoringSocket& socket_;
  const std::string file_;
  const Logger& log_;
  std::vector<AgentPath> missing_;  ///< as the other members below the thread's, once it runs
  std::optional<std::uint64_t> saved_version_;  ///< of the membership, that is in the file
  std::string saved_;
  bool failing_ = false;
  std::atomic<bool> may_save_{true};
  StopEvent stop_;
  Thread thread_;
};

}  // namespace farol::proxy
