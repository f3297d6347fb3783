#include "proxy/link.hpp"

#include <algorithm>
#include <utility>

namespace farol::proxy {
namespace {

/// The kernel's clock may be this coarse.
constexpr auto kKernelTick = std::chrono::milliseconds(10);

}  // namespace

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
  closed_.fetch_or(reset_server ? kHalfClosed | kClientClosed : kHalfClosed, std::memory_order_relaxed);
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

bool Link::expired(TimePoint now) {
  if (end_.load() != End::open) return started_.load(std::memory_order_acquire);
  if (!started_.load(std::memory_order_acquire)) return client_.gone();
  End reason = End::open;
  if (too_old(now))
    reason = End::too_old;
  else if (meter_->to_be_closed(now))
    reason = End::drained;
  else if (const auto side = vanished(now))
    reason = *side == Side::server ? End::server_gone : End::timed_out;
  else if (silent(now))
    reason = End::timed_out;
  End expected = End::open;
  return reason != End::open && end_.compare_exchange_strong(expected, reason);
}

bool Link::too_old(TimePoint now) const {
  return limits_.lifetime > Duration::zero() && now - meter_->connected_at() >= limits_.lifetime;
}

/// A relay sees its bytes go into a socket, not out of it: a reader that takes minutes for what lies there looks silent. So
/// the kernel is asked, in the middle of a silence and at its end, what the peers have acknowledged.
bool Link::silent(TimePoint now) {
  const Duration most = limit((closed_.load(std::memory_order_relaxed) & kHalfClosed) != 0);
  const Duration silence = now.time_since_epoch() - Duration(last_activity_.load(std::memory_order_relaxed));
  if (most <= Duration::zero() || silence <= most / 2) {
    half_silent_ = false;
    return false;
  }
  if (!half_silent_) acknowledged_ = acknowledged();
  half_silent_ = true;
  if (silence <= most) return false;
  if (acknowledged() == acknowledged_) return true;
  half_silent_ = false;
  touch_at(now);
  return false;
}

/// The side whose peer is gone, as one behind a broken path is: nothing has come from it for the whole user time-out,
/// though it was asked. The first look is at the half of that time, so short sessions pay nothing for it; each further
/// one is when the silence found last could have become long enough. An idle client is probed from the start, for it
/// costs nothing (Listener); an idle server from here on.
std::optional<Link::Side> Link::vanished(TimePoint now) {
  if (now < look_at_) return std::nullopt;
  const Duration most = limits_.user;
  SpinLock lock(mutex_);
  if (!server_) return std::nullopt;
  if (!probing_) server_->probe_when_idle(most);
  probing_ = true;
  Duration longest{};
  for (const Side side : {Side::client, Side::server}) {
    const Silence silence = (side == Side::client ? client_ : *server_).silence();
    if (silence.unanswered && silence.lasts >= most) return side;
    longest = std::max(longest, silence.lasts);
  }
  look_at_ = now + std::max(most - longest + kKernelTick, most / 8);
  return std::nullopt;
}

/// The lower bits are enough: whether it grows is all that matters.
std::uint32_t Link::acknowledged() {
  SpinLock lock(mutex_);
  return static_cast<std::uint32_t>(client_.acknowledged() + (server_ ? server_->acknowledged() : 0));
}

void Link::cut(bool timed_out) {
  SpinLock lock(mutex_);
  End expected = End::open;
  end_.compare_exchange_strong(expected, timed_out ? End::timed_out : End::cut);  // expired() has said why already
  if (!server_ || !started_.load(std::memory_order_acquire)) {
    if ((closed_.load(std::memory_order_relaxed) & kCutClient) == 0) client_.shut_down();
    if (server_) server_->shut_down();
    return;
  }
  const Ending client = ending(client_, *server_, kCutClient), server = ending(*server_, client_, kCutServer);
  end_side(client_, client);
  end_side(*server_, server);
}

/// A relay that waits to write is woken by nothing less than a FIN, which is not seen behind all that the sink has not
/// taken. A sink that makes room by the next call wakes it itself, and so sees no FIN at all.
Link::Ending Link::ending(const Channel& sink, const Channel& source, std::uint8_t cut_in_the_middle) {
  const bool repeated = (closed_.load(std::memory_order_relaxed) & cut_in_the_middle) != 0;
  const bool writing = sink.is_writing();
  if (!repeated && !writing && source.unread() == 0) return Ending::fin;
  closed_.fetch_or(cut_in_the_middle, std::memory_order_relaxed);
  return repeated && writing ? Ending::reset_now : Ending::reset;
}

void Link::end_side(const Channel& side, Ending how) {
  if (how != Ending::fin) side.reset_on_close();
  if (how == Ending::reset)
    side.shutdown_read();
  else
    side.shut_down();
}

}  // namespace farol::proxy
