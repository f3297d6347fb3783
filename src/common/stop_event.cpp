#include "common/stop_event.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "common/error.hpp"

namespace farol {
namespace {

void add_one(int fd) noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

bool is_readable(int fd) noexcept {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) > 0;
}

}  // namespace

StopEvent::StopEvent() : fd_(check("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void StopEvent::fire() noexcept { add_one(fd_.get()); }

bool StopEvent::fired() const noexcept { return is_readable(fd_.get()); }

bool StopEvent::wait_until(TimePoint deadline) const {
  for (;;) {
    const TimePoint now = Clock::now();
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, poll_timeout(deadline, now)) > 0) return true;
    if (Clock::now() >= deadline) return false;
  }
}

Wake wait_readable(int fd, const StopEvent& stop, TimePoint deadline) {
  for (;;) {
    pollfd p[2] = {{stop.fd(), POLLIN, 0}, {fd, POLLIN, 0}};
    const int n = ::poll(p, 2, poll_timeout(deadline, Clock::now()));
    if (n > 0) return p[0].revents != 0 ? Wake::stop : Wake::ready;
    if (Clock::now() >= deadline) return Wake::timeout;
  }
}

Bell::Bell() : fd_(check("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void Bell::ring() noexcept { add_one(fd_.get()); }

void Bell::clear() noexcept {
  std::uint64_t rings = 0;
  [[maybe_unused]] const auto got = ::read(fd_.get(), &rings, sizeof rings);
}

}  // namespace farol
