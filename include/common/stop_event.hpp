#pragma once

#include "common/clock.hpp"
#include "common/fd.hpp"

namespace farol {

/// A one-way switch that poll(2) can see: once fired it stays readable, so one write wakes every waiter, now and later.
/// Owned by main and outlives the threads that watch it. Any thread may call any method.
class StopEvent {
 public:
  StopEvent();
  void fire() noexcept;
  [[nodiscard]] bool fired() const noexcept;
  /// The descriptor to put into a poll set; readable means stop.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Sleeps until `deadline` or the stop; true when stopped.
  bool wait_until(TimePoint deadline) const;

 private:
  Fd fd_;
};

/// What a wait on one descriptor under a stop event ended with.
enum class Wake { ready, timeout, stop };

/// Waits until `fd` is readable, `deadline` passes or `stop` fires (stop wins). Any thread.
Wake wait_readable(int fd, const StopEvent& stop, TimePoint deadline);

/// An eventfd that one thread sleeps on and others ring: "look again". Rings are merged. Any thread.
class Bell {
 public:
  Bell();
  void ring() noexcept;
  /// Takes all rings so far; call before looking at what they announced.
  void clear() noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  Fd fd_;
};

}  // namespace farol
