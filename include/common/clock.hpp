#pragma once

#include <chrono>
#include <cstdint>

namespace farol {

/// All timing is monotonic: a stepped wall clock neither loses probes nor cuts sessions.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// The deadline of a wait that has none.
inline constexpr TimePoint kNever = TimePoint::max();

/// Milliseconds with their fraction, for logs and JSON.
inline double to_ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}
inline double to_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

/// The wall clock's milliseconds since 1970, for those who read.
inline std::int64_t unix_ms(std::chrono::system_clock::time_point time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// A Duration from a number of seconds (configuration, protocol fields).
inline Duration from_seconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

/// `deadline` as a poll(2) time-out: -1 for never, 0 when past, else rounded up to whole milliseconds, at most
/// `cap_ms`.
inline int poll_timeout(TimePoint deadline, TimePoint now, int cap_ms = 60'000) {
  if (deadline == kNever) return -1;
  if (deadline <= now) return 0;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return ms > cap_ms ? cap_ms : static_cast<int>(ms);
}

}  // namespace farol
