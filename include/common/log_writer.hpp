#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/thread.hpp"

namespace farol {

/// Writes lines to a descriptor on a thread of its own, in the order in which they came, one line = one write(2). Who has
/// a line to write never waits for a reader, a terminal or a disk: what does not fit into the queue, or cannot be
/// written, is dropped, counted, and said as soon as something can be written again. The thread starts with the first
/// line. Owned by the Logger; any thread may put.
class LogWriter {
 public:
  static constexpr std::size_t kMostQueued = 1024 * 1024;  ///< bytes that wait; as many again may be in the writer's hands
  static constexpr auto kFlushTime = std::chrono::seconds(1);

  /// `lost` makes the line that says how many were lost. Without a descriptor (-1) every line is lost.
  LogWriter(int fd, std::function<std::string(std::uint64_t)> lost) : fd_(fd), lost_line_(std::move(lost)) {}
  /// Writes what is left, for at most kFlushTime.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// `line` ends with its only newline.
  void put(std::string_view line) noexcept;
  /// Waits until everything put so far is written or lost, for at most kFlushTime.
  void flush() noexcept;
  /// Lines lost so far.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  enum class Patience { none, until_the_end };

  void start() noexcept;
  void write_here() noexcept;
  void run();
  bool take(std::string& batch, std::uint64_t& untold);
  std::uint64_t write_lines(std::string_view lines, Patience patience);
  bool write_line(std::string_view line, Patience patience);
  [[nodiscard]] bool wait_for_room(Patience patience) const;
  void rest();
  void lose(std::uint64_t lines) { dropped_.fetch_add(lines, std::memory_order_relaxed); }

  const int fd_;
  const std::function<std::string(std::uint64_t)> lost_line_;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<Clock::rep> end_by_{kNever.time_since_epoch().count()};  ///< when the writer gives up

  Mutex mutex_;
  std::condition_variable changed_, written_;
  std::string queue_ GUARDED_BY(mutex_);
  std::uint64_t untold_ GUARDED_BY(mutex_) = 0;  ///< lost for want of room behind what is queued
  bool started_ GUARDED_BY(mutex_) = false;
  bool awake_ GUARDED_BY(mutex_) = false;        ///< the writer looks at the queue once more before it sleeps
  bool writing_ GUARDED_BY(mutex_) = false;      ///< it has lines in its hands
  bool ending_ GUARDED_BY(mutex_) = false;
  Thread thread_;  ///< of who starts it, then of the destructor
};

}  // namespace farol
