#pragma once

#include "common/channel.hpp"
#include "common/io.hpp"

namespace farol {

/// Lets a coroutine wait for another thread, whatever engine runs it: one rings, the other awaits. Rings are merged.
/// Lives with the coroutine; whoever may ring must have let go of it before it is destroyed.
class Doorbell {
 public:
  /// Throws std::system_error when there is no descriptor to have.
  explicit Doorbell(Io& io);

  /// "Look again." Any thread.
  void ring() noexcept;
  /// Takes all rings so far. The waiter's: clear, look, and only then wait; so no ring is lost.
  void clear() noexcept;
  /// Awaits a ring.
  WaitFor rung(TimePoint deadline) { return channel_.readable(deadline); }

 private:
  Channel channel_;  // of an eventfd: only its readiness is used
};

}  // namespace farol
