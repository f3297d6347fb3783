#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"
#include "common/received.hpp"

namespace farol {

class Channel;
class Io;
class Transfer;

/// What a read or write did. `again`: the kernel says "not now", so await readable() or writable().
struct IoResult {
  enum class Status : std::uint8_t { ok, again, eof, error };
  Status status = Status::ok;
  std::uint32_t bytes = 0;
  int error = 0;  ///< errno, for Status::error
  /// The operation itself is refused (splice on such a socket, by a sandbox, for want of memory), not the connection
  /// broken.
  [[nodiscard]] bool unsupported() const;
};

/// How a wait ended.
enum class Wait : std::uint8_t { ready, timeout, cut };

enum class Want : std::uint8_t { read, more, write, time, receive, send };

/// Awaitable: made by Channel::readable(), more(), writable() and Io::sleep() only.
class [[nodiscard]] WaitFor {
 public:
  WaitFor(Io& io, Channel* channel, Want want, TimePoint deadline)
      : want_(want), io_(io), channel_(channel), deadline_(deadline) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Wait await_resume() const { return result; }

  [[nodiscard]] Channel* channel() const { return channel_; }
  [[nodiscard]] Want want() const { return want_; }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }

  // For engines.
  [[nodiscard]] bool transfers() const { return want_ == Want::receive || want_ == Want::send; }
  /// REQUIRES: transfers().
  Transfer& transfer();
  std::coroutine_handle<> suspended{};  ///< who waits (reactors only)
  std::uint32_t slot = 0;               ///< the engine's: where it remembers the wait
  Wait result = Wait::ready;

 protected:
  void aim(Channel& channel, Want want) {
    channel_ = &channel;
    want_ = want;
  }

 private:
  Want want_;
  Io& io_;
  Channel* channel_;
  TimePoint deadline_;
};

/// Bytes on their way from one connection to another, with the wait for each step. The engine does the work: it tries,
/// waits and, where it must, keeps what does not go out. Belongs to one coroutine; one step at a time.
class Transfer final : public WaitFor {
 public:
  explicit Transfer(Io& io) : WaitFor(io, nullptr, Want::time, kNever) {}

  /// What receive() and send() are awaited by; `outcome` says what came of it. A frame holds one Transfer for all its
  /// steps.
  class [[nodiscard]] Step {
   public:
    explicit Step(Transfer& transfer) : transfer_(transfer) {}
    bool await_ready() { return transfer_.await_ready(); }
    void await_suspend(std::coroutine_handle<> waiting) { transfer_.await_suspend(waiting); }
    void await_resume() const {}

   private:
    Transfer& transfer_;
  };

  /// Awaits the next bytes, at least one and at most kReceiveBuffer, or the end. Never `again`. REQUIRES: empty().
  Step receive(Channel& from) { return aim(from, Want::receive); }
  /// Awaits the sending of some of the bytes, at least one; the rest stays. Never `again`.
  Step send(Channel& to) { return aim(to, Want::send); }
  [[nodiscard]] bool empty() const { return bytes.empty(); }
  IoResult outcome;  ///< of the last step; set by the engine

  Received bytes;  ///< for engines

 private:
  Step aim(Channel& channel, Want want) {
    WaitFor::aim(channel, want);
    return Step(*this);
  }
};

inline Transfer& WaitFor::transfer() { return static_cast<Transfer&>(*this); }

}  // namespace farol
