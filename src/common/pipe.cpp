#include "common/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr int kWanted = 1 << 20;   ///< bulk needs a third of the CPU of copying with this, half with the default 64 KiB
constexpr int kSmallest = 1 << 16;  ///< below it copying is cheaper
constexpr std::size_t kKept = 32;  ///< idle ones
constexpr auto kPause = std::chrono::seconds(1);  ///< after the kernel had none

std::optional<Pipe> open_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  Pipe pipe{Fd(ends[0]), Fd(ends[1]), 0, 0};
  for (int size = kWanted; size > kSmallest; size /= 4)
    if (::fcntl(ends[1], F_SETPIPE_SZ, size) >= 0) break;
  const int size = ::fcntl(ends[1], F_GETPIPE_SZ);
  if (size < kSmallest) return std::nullopt;
  pipe.capacity = static_cast<std::size_t>(size);
  return pipe;
}

}  // namespace

std::span<std::byte> Pipe::read(std::span<std::byte> buffer) {
  const ssize_t got = retry_eintr([&] { return ::read(read_end.get(), buffer.data(), buffer.size()); });
  const auto taken = buffer.first(got > 0 ? static_cast<std::size_t>(got) : 0);
  content -= taken.size();
  return taken;
}

std::optional<Pipe> PipePool::take() {
  if (in_use_.fetch_add(1, std::memory_order_relaxed) < most_)
    if (auto pipe = idle_or_new()) return pipe;
  in_use_.fetch_sub(1, std::memory_order_relaxed);
  return std::nullopt;
}

std::optional<Pipe> PipePool::idle_or_new() {
  const TimePoint now = Clock::now();
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      Pipe pipe = std::move(free_.back());
      free_.pop_back();
      return pipe;
    }
    if (now < ask_again_) return std::nullopt;
  }
  auto pipe = open_pipe();
  if (pipe) return pipe;
  MutexLock lock(mutex_);
  ask_again_ = now + kPause;
  return std::nullopt;
}

void PipePool::give_back(Pipe pipe) {
  in_use_.fetch_sub(1, std::memory_order_relaxed);
  if (pipe.content > 0) return;
  MutexLock lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(pipe));
}

}  // namespace farol
