#pragma once

#include "common/reactor.hpp"
#include "common/slots.hpp"

namespace farol {

/// A reactor on epoll(7), edge-triggered. The operation itself is tried first; a socket is made known to epoll, once and
/// for both directions, only when the kernel had nothing for it. An event carries a token, not a pointer, for a channel
/// may be gone by the time its event is looked at.
class EpollReactor final : public Reactor {
 public:
  explicit EpollReactor(const ReactorContext& context);
  ~EpollReactor() override { join(); }

  bool wait_now(WaitFor& wait) override;
  void forget(Channel& channel) override { channels_.remove(channel.readiness.slot); }

 protected:
  void poll(int timeout_ms) override;
  void listen(std::size_t listener) override;
  void stop_listening(std::size_t listener) override;
  [[nodiscard]] bool may_accept() const override { return false; }
  void arm(WaitFor& wait) override;
  void disarm(WaitFor& wait) override;

 private:
  void watch(int fd, std::uint32_t events, std::uint64_t token) const;
  bool know(Channel& channel);
  bool transfer(Transfer& wait);
  void accept_client(std::size_t index);
  void dispatch(std::uint64_t token, std::uint32_t events);
  void wake(std::uint64_t token, std::uint32_t events);
  void advance(WaitFor& wait);

  const Fd epoll_;
  Slots<Channel> channels_;
};

}  // namespace farol
