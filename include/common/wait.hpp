#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"
#include "common/received.hpp"

namespace farol {

class Channel;
class Io;

/// What a read or write did. `again`: the kernel says "not now", so await readable() or writable().
struct IoResult {
  enum class Status { ok, again, eof, error };
  Status status = Status::ok;
  std::size_t bytes = 0;
  int error = 0;  ///< errno, for Status::error
  /// The operation itself is refused (splice on such a socket, no memory for it), not the connection broken.
  [[nodiscard]] bool unsupported() const;
};

/// How a wait ended.
enum class Wait { ready, timeout, cut };

enum class Want { read, more, write, time, receive, send };

/// Awaitable: made by Channel::readable(), more(), writable() and Io::sleep() only. Receive and Send are waits whose
/// engine also does the work.
class [[nodiscard]] WaitFor {
 public:
  WaitFor(Io& io, Channel* channel, Want want, TimePoint deadline, Received* bytes = nullptr)
      : io_(io), channel_(channel), want_(want), deadline_(deadline), bytes_(bytes) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Wait await_resume() const { return result; }

  [[nodiscard]] Channel* channel() const { return channel_; }
  [[nodiscard]] Want want() const { return want_; }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  /// REQUIRES: want() is receive or send.
  [[nodiscard]] Received& bytes() const { return *bytes_; }
  Wait result = Wait::ready;            ///< set by the engine
  IoResult outcome;                     ///< set by the engine: receive, send
  std::coroutine_handle<> suspended{};  ///< who waits (reactor only)
  std::uint32_t slot = 0;               ///< the engine's

 private:
  Io& io_;
  Channel* channel_;
  Want want_;
  TimePoint deadline_;
  Received* bytes_;
};

/// Awaitable: made by Channel::receive() and send() only.
class [[nodiscard]] Transfer : public WaitFor {
 public:
  using WaitFor::WaitFor;
  [[nodiscard]] IoResult await_resume() const { return outcome; }
};

}  // namespace farol
