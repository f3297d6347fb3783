#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <string>

#include "common/clock.hpp"
#include "common/mutex.hpp"

namespace farol {

/// Whether the threads that a process cannot do without still go round. Each of them waits for its events, but with a
/// patience set never longer than a part of it, and notes every round; who has not come round for the whole patience is
/// stuck. A process that nobody watches has no patience, and its threads sleep as long as they like.
/// Owned by main, outlives every thread that has a Pulse. Any thread.
class Heartbeats {
 public:
  /// Zero: nobody watches.
  explicit Heartbeats(Duration patience = Duration::zero()) : patience_(patience) {}
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  /// One thread's place in it, while it lives. Made and used by that thread.
  class Pulse {
   public:
    /// `all` may be null: a thread that may be missed.
    Pulse(Heartbeats* all, std::string name);
    ~Pulse();
    Pulse(const Pulse&) = delete;
    Pulse& operator=(const Pulse&) = delete;

    /// A new round begins. Returns until when its wait may last.
    TimePoint beat(TimePoint now) noexcept;

   private:
    friend class Heartbeats;
    Heartbeats* const all_;
    const std::string name_;
    std::atomic<TimePoint> last_;
  };

  /// The name of a thread that has not come round for the whole patience.
  [[nodiscard]] std::optional<std::string> stuck(TimePoint now) const;

 private:
  const Duration patience_;
  mutable Mutex mutex_;
  std::set<const Pulse*> pulses_ GUARDED_BY(mutex_);
};

}  // namespace farol
