#pragma once

#include <deque>
#include <memory>

#include "common/reactor.hpp"
#include "common/slots.hpp"
#include "common/uring.hpp"

namespace farol {

/// A reactor on io_uring(7): what its coroutines ask for is collected and handed to the kernel in one call, which also
/// brings the answers to what was asked before. A system call less for every receive, send and accept; docs/BENCHMARKS.md
/// says what that is worth.
class UringReactor final : public Reactor {
 public:
  UringReactor(const ReactorContext& context, std::unique_ptr<Uring> ring);
  ~UringReactor() override { join(); }

  bool wait_now(WaitFor& wait) override;

 protected:
  void begin() override;
  void poll(int timeout_ms) override;
  void listen(std::size_t listener) override;
  void stop_listening(std::size_t listener) override;
  [[nodiscard]] bool may_accept() const override;
  void arm(WaitFor& wait) override;
  void disarm(WaitFor& wait) override;

 private:
  struct Accepting {
    bool armed = false;
    SockAddr peer;
  };

  void watch(int fd, std::uint64_t token);
  void accept_next(std::size_t listener);
  void accepted(std::size_t listener, int answer);
  void accept_rest(std::size_t listener);
  void ask(WaitFor& wait);
  void take(const io_uring_cqe& answer);
  bool done(WaitFor& wait, const io_uring_cqe& answer);
  bool send_done(Transfer& wait, const io_uring_cqe& answer);
  bool receive_done(Transfer& wait, const io_uring_cqe& answer);
  bool receive_anew(Transfer& wait);

  const std::unique_ptr<Uring> ring_;
  std::deque<Accepting> accepting_;  ///< by listener; stays where it is: the kernel writes to it
  Slots<WaitFor> waits_;  ///< for the answers to their requests; a wait that ended first is not there any more
};

}  // namespace farol
