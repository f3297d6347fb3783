#include "common/uring.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "common/channel.hpp"

namespace farol {
namespace {

constexpr unsigned kRequests = 256, kAnswers = 4096;
constexpr unsigned kBuffers = 256;  ///< at most; a power of two
constexpr unsigned kBlock = 8;      ///< buffers at a time: the kernel uses them all in turn, so few stay in the cache
constexpr std::size_t kPage = 4096;

}  // namespace

std::unique_ptr<Uring> Uring::open() {
  std::unique_ptr<Uring> uring(new Uring);
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                     IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  parameters.cq_entries = kAnswers;
  uring->ring_.ring_fd = -1;
  if (::io_uring_queue_init_params(kRequests, &uring->ring_, &parameters) < 0) {
    uring->ring_.ring_fd = -1;
    return nullptr;
  }
  std::size_t space = kBuffers * sizeof(io_uring_buf) + kPage;
  uring->entries_memory_ = std::make_unique<std::byte[]>(space);
  void* place = uring->entries_memory_.get();
  uring->entries_ = static_cast<io_uring_buf_ring*>(std::align(kPage, kBuffers * sizeof(io_uring_buf), place, space));
  ::io_uring_buf_ring_init(uring->entries_);
  io_uring_buf_reg group{};
  group.ring_addr = reinterpret_cast<std::uintptr_t>(uring->entries_);
  group.ring_entries = kBuffers;
  group.bgid = kBufferGroup;
  if (::io_uring_register_buf_ring(&uring->ring_, &group, 0) < 0) return nullptr;
  uring->add_buffers();
  return uring;
}

Uring::~Uring() {
  if (ring_.ring_fd >= 0) ::io_uring_queue_exit(&ring_);
}

void Uring::start() {
  ::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);  // not in liburing 2.3
  ::io_uring_register_ring_fd(&ring_);  // saves the kernel a look-up per call; nothing is lost without it
}

io_uring_sqe& Uring::next() {
  io_uring_sqe* request = ::io_uring_get_sqe(&ring_);
  while (request == nullptr) {
    ::io_uring_submit(&ring_);
    request = ::io_uring_get_sqe(&ring_);
  }
  return *request;
}

void Uring::submit_and_wait(int timeout_ms) {
  io_uring_cqe* answer = nullptr;
  if (timeout_ms < 0) {
    ::io_uring_submit_and_wait(&ring_, 1);
    return;
  }
  __kernel_timespec limit{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000LL};
  ::io_uring_submit_and_wait_timeout(&ring_, &answer, 1, &limit, nullptr);
}

std::span<const std::byte> Uring::buffer(unsigned index, std::size_t size) const {
  return {blocks_[index / kBlock].get() + (index % kBlock) * kReceiveBuffer, size};
}

void Uring::take_back(unsigned index) {
  auto* start = const_cast<std::byte*>(buffer(index, kReceiveBuffer).data());
  ::io_uring_buf_ring_add(entries_, start, kReceiveBuffer, static_cast<unsigned short>(index),
                          ::io_uring_buf_ring_mask(kBuffers), 0);
  ::io_uring_buf_ring_advance(entries_, 1);
}

bool Uring::add_buffers() {
  const auto first = static_cast<unsigned>(blocks_.size()) * kBlock;
  if (first >= kBuffers) return false;
  blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kBlock * kReceiveBuffer));
  for (unsigned i = 0; i < kBlock; ++i) take_back(first + i);
  return true;
}

}  // namespace farol
