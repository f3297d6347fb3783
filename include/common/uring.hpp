#pragma once

#include <liburing.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "common/received.hpp"

namespace farol {

/// An io_uring instance for one thread, with buffers from which the kernel takes one when bytes have come: an idle
/// connection holds none. Opened by any thread; start() and everything after it belong to one.
class Uring final : public BufferLender {
 public:
  /// Empty where the kernel is too old (before Linux 6.1) or forbids it (kernel.io_uring_disabled, a container's rules).
  static std::unique_ptr<Uring> open();
  ~Uring();
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  void start();
  /// The next request to fill in; hands over what there is when the queue is full.
  io_uring_sqe& next();
  /// Hands all requests over and waits for an answer, at most so long (milliseconds; -1: for ever).
  void submit_and_wait(int timeout_ms);
  /// Calls `take(const io_uring_cqe&)` for every answer that is there now.
  template <typename Take>
  void answers(Take take) {
    for (unsigned left = ::io_uring_cq_ready(&ring_); left > 0; --left) {
      io_uring_cqe* answer = nullptr;
      if (::io_uring_peek_cqe(&ring_, &answer) != 0) return;
      const io_uring_cqe copy = *answer;
      ::io_uring_cqe_seen(&ring_, answer);
      take(copy);
    }
  }

  static constexpr int kBufferGroup = 0;  ///< what a receive names to get a buffer
  /// The buffer that the kernel chose, by the flags of its answer.
  [[nodiscard]] static unsigned buffer_of(const io_uring_cqe& answer) { return answer.flags >> IORING_CQE_BUFFER_SHIFT; }
  [[nodiscard]] std::span<const std::byte> buffer(unsigned index, std::size_t size) const;
  void take_back(unsigned buffer) override;
  /// More buffers, when all were in use; false when there are as many as there may be.
  bool add_buffers();

 private:
  Uring() = default;

  io_uring ring_{};
  std::unique_ptr<std::byte[]> entries_memory_;
  io_uring_buf_ring* entries_ = nullptr;            ///< in it, on a page boundary
  std::vector<std::unique_ptr<std::byte[]>> blocks_;  ///< of kBlock buffers each
};

}  // namespace farol
