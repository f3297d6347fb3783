#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "common/clock.hpp"
#include "common/mutex.hpp"

namespace farol {

/// How something went that another thread does again and again when it is asked to: who asks waits for the next outcome.
/// Any thread.
template <typename Outcome>
class Outcomes {
 public:
  /// So many there have been.
  std::uint64_t count() {
    MutexLock lock(mutex_);
    return count_;
  }
  void add(Outcome outcome) {
    {
      MutexLock lock(mutex_);
      last_ = std::move(outcome);
      ++count_;
    }
    changed_.notify_all();
  }
  /// The outcome that comes after the first `seen`; nothing by `deadline`.
  std::optional<Outcome> wait_for_next(std::uint64_t seen, TimePoint deadline) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock lock(mutex_.native());
    const bool came =
        changed_.wait_until(lock, deadline, [this, seen]() NO_THREAD_SAFETY_ANALYSIS { return count_ > seen; });
    return came ? std::optional(last_) : std::nullopt;
  }

 private:
  Mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ GUARDED_BY(mutex_) = 0;
  Outcome last_ GUARDED_BY(mutex_){};
};

}  // namespace farol
