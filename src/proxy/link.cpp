#include "proxy/link.hpp"

#include <algorithm>

namespace farol::proxy {

void Link::open_server(Fd socket) {
  MutexLock lock(mutex_);
  server_.emplace(io_, std::move(socket));
  if (end_.load() != End::open) server_->shut_down();  // cut between two attempts
}

void Link::close_server() {
  MutexLock lock(mutex_);
  server_.reset();
}

void Link::finish(bool reset_server) {
  MutexLock lock(mutex_);
  client_.shut_down();
  if (!server_) return;
  if (reset_server) {
    server_->reset_on_close();
    server_->shutdown_read();
  } else {
    server_->shut_down();
  }
}

bool Link::expired(TimePoint now) const {
  const Clock::rep last = last_activity_.load(std::memory_order_relaxed);
  if (last == 0 || end_.load() != End::open) return false;
  Duration limit = limits_.idle;
  if (half_closed_.load(std::memory_order_relaxed) && limits_.fin > Duration::zero())
    limit = limit > Duration::zero() ? std::min(limit, limits_.fin) : limits_.fin;
  return limit > Duration::zero() && now.time_since_epoch() - Duration(last) > limit;
}

void Link::cut(bool timed_out) {
  MutexLock lock(mutex_);
  End expected = End::open;
  end_.compare_exchange_strong(expected, timed_out ? End::timed_out : End::cut);
  client_.shut_down();
  if (server_) server_->shut_down();
}

}  // namespace farol::proxy
