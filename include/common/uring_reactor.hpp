#pragma once

#include <vector>

#include "common/reactor.hpp"
#include "common/uring.hpp"

namespace farol {

/// A reactor on io_uring(7): what its coroutines ask for is collected and handed to the kernel in one call, which also
/// brings the answers to what was asked before. A system call less for every receive, send and accept; docs/BENCHMARKS.md
/// says what that is worth.
class UringReactor final : public Reactor {
 public:
  UringReactor(const ReactorContext& context, std::vector<const Listener*> listeners, std::unique_ptr<Uring> ring);
  ~UringReactor() override { join(); }

  bool wait_now(WaitFor& wait) override;

 protected:
  void begin() override;
  void poll(int timeout_ms) override;
  void listen() override;
  void stop_listening() override;
  void arm(WaitFor& wait) override;
  void disarm(WaitFor& wait) override;

 private:
  /// Who waits for the answer to a request; nobody any more when the wait ended first.
  struct Slot {
    WaitFor* waiting = nullptr;
    std::uint32_t next_free = 0;
  };
  struct Accepting {
    bool armed = false;
    SockAddr peer;
  };

  std::uint64_t remember(WaitFor& wait);
  void watch(int fd, std::uint64_t token);
  void accept_next(std::size_t listener);
  void accepted(std::size_t listener, int answer);
  void ask(WaitFor& wait, std::uint64_t token);
  void take(const io_uring_cqe& answer);
  bool done(WaitFor& wait, const io_uring_cqe& answer);
  bool send_done(Transfer& wait, const io_uring_cqe& answer);
  bool receive_done(Transfer& wait, const io_uring_cqe& answer);
  bool receive_anew(Transfer& wait, std::uint64_t token);

  const std::unique_ptr<Uring> ring_;
  std::vector<Accepting> accepting_;
  std::vector<Slot> slots_;
  std::uint32_t free_slot_;
};

}  // namespace farol
