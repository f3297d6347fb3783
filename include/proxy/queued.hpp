#pragma once

#include <atomic>

#include "common/doorbell.hpp"
#include "common/io.hpp"
#include "proxy/waiter.hpp"

namespace farol::proxy {

/// A client that waits for a back-end. Two may end that before its time: who makes room in the pool, and the engine,
/// which supervises this instead of the session's link and notices within its tick that the client is gone. Lives in
/// the session's coroutine, which alone waits; the others ring.
class Queued final : public Waiter, public Supervised {
 public:
  /// Throws std::system_error when there is no descriptor to have.
  Queued(Io& io, const Channel& client, const Request& wanted) : Waiter(wanted), client_(client), bell_(io) {}

  /// There is nothing more to wait for; else rung() is worth awaiting.
  bool over() noexcept {
    bell_.clear();
    return over_.load();
  }
  WaitFor rung(TimePoint deadline) { return bell_.rung(deadline); }
  /// The client has reset its connection. That it has closed its half is no reason to leave.
  [[nodiscard]] bool client_gone() const { return client_.gone(); }

  void chosen() noexcept override { end(); }
  bool expired(TimePoint) override { return client_gone(); }
  void cut(bool) override { end(); }

 private:
  void end() noexcept {
    over_.store(true);
    bell_.ring();
  }

  const Channel& client_;
  Doorbell bell_;
  std::atomic<bool> over_{false};
};

}  // namespace farol::proxy
