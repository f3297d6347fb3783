#pragma once

#include <coroutine>

#include "common/clock.hpp"

namespace farol {

class Channel;
class Io;

/// How a wait ended.
enum class Wait { ready, timeout, cut };

enum class Want { read, more, write, time };

/// Awaitable: made by Channel::readable(), more(), writable() and Io::sleep() only.
class [[nodiscard]] WaitFor {
 public:
  WaitFor(Io& io, Channel* channel, Want want, TimePoint deadline)
      : io_(io), channel_(channel), want_(want), deadline_(deadline) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Wait await_resume() const { return result; }

  [[nodiscard]] Channel* channel() const { return channel_; }
  [[nodiscard]] Want want() const { return want_; }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  Wait result = Wait::ready;            ///< set by the engine
  std::coroutine_handle<> suspended{};  ///< who waits (reactor only)

 private:
  Io& io_;
  Channel* channel_;
  Want want_;
  TimePoint deadline_;
};

}  // namespace farol
