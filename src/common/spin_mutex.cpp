#include "common/spin_mutex.hpp"

#include <algorithm>

namespace farol {
namespace {

constexpr int kLongestPause = 64;  ///< pauses between two looks, at most: one to three microseconds
constexpr int kLooks = 32;         ///< then it sleeps

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void SpinMutex::lock_slowly() {
  int pauses = 4;
  for (int look = 0; look < kLooks; ++look) {
    for (int i = 0; i < pauses; ++i) pause_cpu();
    pauses = std::min(pauses * 2, kLongestPause);
    std::uint32_t expected = kFree;
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.compare_exchange_weak(expected, kTaken, std::memory_order_acquire, std::memory_order_relaxed))
      return;
  }
  while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) state_.wait(kAwaited, std::memory_order_relaxed);
}

}  // namespace farol
