#include "common/doorbell.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "common/error.hpp"

namespace farol {

Doorbell::Doorbell(Io& io) : channel_(io, Fd(check("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)))) {}

void Doorbell::ring() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  [[maybe_unused]] const auto written = ::write(channel_.fd(), &one, sizeof one);
}

void Doorbell::clear() noexcept {
  std::uint64_t rings = 0;
  [[maybe_unused]] const auto got = ::read(channel_.fd(), &rings, sizeof rings);
}

}  // namespace farol
