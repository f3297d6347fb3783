#include "common/signals.hpp"

#include <cerrno>
#include <ctime>

namespace farol {

SignalWaiter::SignalWaiter(std::initializer_list<int> signals) {
  ::sigemptyset(&set_);
  for (const int number : signals) ::sigaddset(&set_, number);
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

int SignalWaiter::wait(TimePoint deadline) const {
  for (;;) {
    int number = 0;
    if (deadline == kNever) {
      if (::sigwait(&set_, &number) == 0) return number;
      continue;
    }
    const auto left = std::max(Duration::zero(), deadline - Clock::now());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
    number = ::sigtimedwait(&set_, nullptr, &timeout);
    if (number > 0) return number;
    if (errno == EAGAIN) return 0;
  }
}

}  // namespace farol
