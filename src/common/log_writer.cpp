#include "common/log_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <optional>
#include <utility>

namespace farol {
namespace {

/// After each batch the writer lets more lines gather: who logs then finds it awake, and need not wake it.
constexpr auto kRest = std::chrono::milliseconds(10);
/// How often a writer whose reader does not read looks whether it is to give up.
constexpr int kLookMs = 20;
constexpr std::size_t kStack = 64 * 1024;

}  // namespace

LogWriter::~LogWriter() {
  end_by_ = (Clock::now() + kFlushTime).time_since_epoch().count();
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LogWriter::put(std::string_view line) noexcept {
  if (fd_ < 0) return lose(1);
  bool starts = false, wakes = false;
  {
    MutexLock lock(mutex_);
    bool kept = queue_.size() + line.size() <= kMostQueued;
    try {
      if (kept) queue_ += line;
    } catch (const std::bad_alloc&) {
      kept = false;
    }
    if (!kept) {
      lose(1);
      ++untold_;
    }
    starts = !std::exchange(started_, true);
    wakes = !std::exchange(awake_, true);
  }
  if (starts)
    start();
  else if (wakes)
    changed_.notify_one();
}

/// Without a thread to have now the next line tries again, and this one is written here, if that takes no wait.
void LogWriter::start() noexcept {
  std::optional<Thread> thread;
  try {
    thread = Thread::try_start("log", [this] { run(); }, kStack);
  } catch (const std::bad_alloc&) {
  }
  if (thread)
    thread_ = std::move(*thread);
  else
    write_here();
}

void LogWriter::write_here() noexcept {
  std::string batch;
  for (;;) {
    {
      MutexLock lock(mutex_);
      started_ = awake_ = !queue_.empty();
      if (!started_) return;
      batch.clear();
      batch.swap(queue_);
    }
    write_lines(batch, Patience::none);
  }
}

void LogWriter::flush() noexcept NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock lock(mutex_.native());
  written_.wait_for(lock, kFlushTime, [this]() NO_THREAD_SAFETY_ANALYSIS { return queue_.empty() && !writing_; });
}

void LogWriter::run() {
  std::string batch;
  std::uint64_t untold = 0;
  for (bool going_on = true; going_on;) {
    going_on = take(batch, untold);
    untold += write_lines(batch, Patience::until_the_end);
    if (untold > 0 && write_line(lost_line_(untold), Patience::until_the_end)) untold = 0;
    if (going_on) rest();
  }
}

/// Waits for lines and takes all there are. False at the end, when there are no more.
bool LogWriter::take(std::string& batch, std::uint64_t& untold) NO_THREAD_SAFETY_ANALYSIS {
  batch.clear();
  std::unique_lock lock(mutex_.native());
  writing_ = false;
  awake_ = !queue_.empty();
  if (queue_.empty()) written_.notify_all();
  changed_.wait(lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return !queue_.empty() || ending_; });
  batch.swap(queue_);
  untold += std::exchange(untold_, 0);
  writing_ = awake_ = true;
  return !ending_ || !batch.empty();
}

void LogWriter::rest() NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock lock(mutex_.native());
  writing_ = false;
  if (queue_.empty()) written_.notify_all();
  changed_.wait_for(lock, kRest, [this]() NO_THREAD_SAFETY_ANALYSIS { return ending_; });
}

/// How many were lost.
std::uint64_t LogWriter::write_lines(std::string_view lines, Patience patience) {
  std::uint64_t lost = 0;
  while (!lines.empty()) {
    const auto size = lines.find('\n') + 1;
    if (!write_line(lines.substr(0, size), patience)) ++lost;
    lines.remove_prefix(size);
  }
  lose(lost);
  return lost;
}

/// A pipe that is writable takes PIPE_BUF bytes without blocking, and whole; a longer line goes in parts.
bool LogWriter::write_line(std::string_view line, Patience patience) {
  while (!line.empty()) {
    if (!wait_for_room(patience)) return false;
    const ssize_t written = ::write(fd_, line.data(), std::min<std::size_t>(line.size(), PIPE_BUF));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    line.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool LogWriter::wait_for_room(Patience patience) const {
  for (bool in_time = true; in_time;) {
    in_time = patience == Patience::until_the_end && Clock::now().time_since_epoch().count() < end_by_.load();
    pollfd room{fd_, POLLOUT, 0};
    if (::poll(&room, 1, in_time ? kLookMs : 0) > 0) return true;
  }
  return false;
}

}  // namespace farol
