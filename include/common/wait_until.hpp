#pragma once

#include <chrono>
#include <thread>

#include "common/clock.hpp"

namespace farol {

/// Looks again and again whether `condition()` holds; false when it does not by `deadline`. For what happens once in a
/// process's life and rings no bell.
template <typename Condition>
bool wait_until(const Condition& condition, TimePoint deadline) {
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace farol
