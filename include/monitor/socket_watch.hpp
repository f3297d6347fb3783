#pragma once

#include <functional>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "monitor/tcp_counter.hpp"

namespace farol::monitor {

/// The service's sockets, counted ahead of the probes: a count takes milliseconds where sockets are many, which the
/// proxy would see as distance if its answer had to wait for them.
/// Counts once when made, then every kPeriod; more seldom where that would take more than kCostLimit of a core.
/// Owned by main. Thread safety: run() has one thread, any thread may call latest(); nothing is counted under the lock.
class SocketWatch {
 public:
  static constexpr Duration kPeriod = std::chrono::seconds(1);
  static constexpr double kCostLimit = 0.005;

  using Counter = std::function<ServiceSockets()>;
  explicit SocketWatch(Counter counter);

  struct Count {
    ServiceSockets sockets;
    TimePoint at{};
  };
  [[nodiscard]] Count latest() const;
  /// Counts again and again, until the stop.
  void run(const StopEvent& stop);
  /// Counts now; returns when it is to be done again.
  TimePoint refresh();

 private:
  const Counter counter_;
  TimePoint due_{};  ///< when to count again; the counting thread's

  mutable Mutex mutex_;
  Count latest_ GUARDED_BY(mutex_);
};

}  // namespace farol::monitor
