#pragma once

#include <csignal>
#include <initializer_list>

#include "common/clock.hpp"

namespace farol {

/// Blocks the given signals in the calling thread and takes them one by one. main makes one before it starts any
/// thread, so that every thread inherits the mask and no handler ever runs.
class SignalWaiter {
 public:
  explicit SignalWaiter(std::initializer_list<int> signals);
  /// The next signal's number; 0 when `deadline` passed first.
  int wait(TimePoint deadline = kNever) const;

 private:
  sigset_t set_{};
};

}  // namespace farol
