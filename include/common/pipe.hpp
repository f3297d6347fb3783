#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/mutex.hpp"

namespace farol {

/// A pipe that streams are spliced through, with the count of the bytes in it. One thread at a time.
struct Pipe {
  Fd read_end, write_end;
  std::size_t capacity = 0;
  std::size_t content = 0;

  /// Takes bytes out by copying them, for a sink that refuses to be spliced to. Empty when there are none.
  std::span<std::byte> read(std::span<std::byte> buffer);
};

/// Pipes for the streams that need them now, at most so many; the next one does without and copies. A pipe that comes
/// back empty is kept for the next stream, one with bytes in it is closed. Any thread.
class PipePool {
 public:
  explicit PipePool(std::size_t most) : most_(most) {}

  /// Empty when all are in use, or when the kernel gives none of a useful size: there are no descriptors, or a user
  /// without privileges has more than /proc/sys/fs/pipe-user-pages-soft in pipes, and new ones are a page or two. The
  /// kernel is asked again after a second, not for every 16 KiB that a stream copies meanwhile.
  std::optional<Pipe> take();
  void give_back(Pipe pipe);
  [[nodiscard]] std::size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }

 private:
  std::optional<Pipe> idle_or_new();

  const std::size_t most_;
  std::atomic<std::size_t> in_use_{0};
  Mutex mutex_;
  std::vector<Pipe> free_ GUARDED_BY(mutex_);
  TimePoint ask_again_ GUARDED_BY(mutex_){};
};

}  // namespace farol
