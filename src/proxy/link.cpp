#include "proxy/link.hpp"

#include <algorithm>
#include <utility>

namespace farol::proxy {

void Link::open_server(Fd socket) {
  SpinLock lock(mutex_);
  server_.emplace(client_.io(), std::move(socket));
  if (end_.load() != End::open) server_->shut_down();  // cut between two attempts
}

void Link::close_server() {
  SpinLock lock(mutex_);
  server_.reset();
}

void Link::finish(bool reset_server) {
  half_closed_.store(true, std::memory_order_relaxed);
  if (reset_server) client_closed_.store(true, std::memory_order_relaxed);
  SpinLock lock(mutex_);
  client_.shut_down();
  if (!server_) return;
  if (reset_server) server_->reset_on_close();
  // No FIN before a reset, it would pass for a regular end. But what the server did not take by now is given up, and
  // the relay that waits to write it is woken: behind those bytes a FIN is not seen.
  if (reset_server && server_->unacknowledged() == 0)
    server_->shutdown_read();
  else
    server_->shut_down();
}

Duration Link::limit(bool half_closed) const {
  if (!half_closed || limits_.fin <= Duration::zero()) return limits_.idle;
  return limits_.idle > Duration::zero() ? std::min(limits_.idle, limits_.fin) : limits_.fin;
}

TimePoint Link::fin_deadline(TimePoint now) const {
  const Duration most = limit(true);
  return most > Duration::zero() ? now + most : kNever;
}

/// A relay sees its bytes go into a socket, not out of it: a reader that takes minutes for what lies there looks silent. So
/// the kernel is asked, in the middle of a silence and at its end, what the peers have acknowledged.
bool Link::expired(TimePoint now) {
  const Clock::rep last = last_activity_.load(std::memory_order_relaxed);
  if (last == 0 || end_.load() != End::open) return false;
  const Duration most = limit(half_closed_.load(std::memory_order_relaxed));
  const Duration silent = now.time_since_epoch() - Duration(last);
  if (most <= Duration::zero() || silent <= most / 2) {
    half_silent_ = false;
    return false;
  }
  if (!std::exchange(half_silent_, true)) acknowledged_ = acknowledged();
  if (silent <= most) return false;
  if (acknowledged() == acknowledged_) return true;
  half_silent_ = false;
  touch_at(now);
  return false;
}

/// The lower bits are enough: whether it grows is all that matters.
std::uint32_t Link::acknowledged() {
  SpinLock lock(mutex_);
  return static_cast<std::uint32_t>(client_.acknowledged() + (server_ ? server_->acknowledged() : 0));
}

void Link::cut(bool timed_out) {
  SpinLock lock(mutex_);
  End expected = End::open;
  end_.compare_exchange_strong(expected, timed_out ? End::timed_out : End::cut);
  client_.shut_down();
  if (server_) server_->shut_down();
}

}  // namespace farol::proxy
