#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace farol {

/// A named kernel thread with a chosen stack, joined by its destructor. std::jthread cannot set the stack size, and two
/// threads per connection cannot afford 8 MiB each. Owned by whoever starts it; never detached. Stop it first: the
/// destructor waits for the function to return.
class Thread {
 public:
  static constexpr std::size_t kDefaultStack = 256 * 1024;

  Thread() = default;
  /// Starts `body`. Throws std::system_error when the kernel refuses. `name` is cut to the kernel's 15 characters.
  Thread(std::string name, std::function<void()> body, std::size_t stack_bytes = kDefaultStack);
  Thread(Thread&& other) noexcept = default;
  Thread& operator=(Thread&& other) noexcept;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { join(); }

  /// As the constructor, but an empty result when the kernel has no thread to give (EAGAIN).
  static std::optional<Thread> try_start(std::string name, std::function<void()> body,
                                         std::size_t stack_bytes = kDefaultStack);

  /// Makes a system call that the thread waits in return EINTR; one that comes a moment later is not touched. By SIGURG,
  /// which means nothing else to us. REQUIRES: joinable(), and nobody joins it meanwhile.
  void interrupt() const noexcept;
  void join() noexcept;
  [[nodiscard]] bool joinable() const noexcept { return running_ != nullptr; }

 private:
  struct Running;
  struct Joined {
    void operator()(Running*) const noexcept;
  };
  static int start(std::unique_ptr<Running, Joined>& out, std::string name, std::function<void()> body,
                   std::size_t stack_bytes);

  std::unique_ptr<Running, Joined> running_;
};

/// Lets those who wait for this thread's work finish theirs before it takes the processor from them (SCHED_BATCH): on a
/// busy machine it then finds more to do at each turn, and fewer turns are needed. Needs no privilege.
void prefer_throughput() noexcept;

}  // namespace farol
