#include "common/uring_reactor.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace farol {
namespace {

// What an answer is about: the low tokens are ours, the rest are waits.
constexpr std::uint64_t kStopToken = 1, kCutToken = 2, kNewsToken = 3, kNobody = 4, kListenerToken = 16;

}  // namespace

UringReactor::UringReactor(const ReactorContext& context, std::unique_ptr<Uring> ring)
    : Reactor(context), ring_(std::move(ring)) {}

void UringReactor::begin() {
  ring_->start();
  watch(context().stop.fd(), kStopToken);
  watch(context().cut.fd(), kCutToken);
  watch(news_fd(), kNewsToken);
}

void UringReactor::watch(int fd, std::uint64_t token) {
  io_uring_sqe& request = ring_->next();
  ::io_uring_prep_poll_add(&request, fd, POLLIN);
  request.user_data = token;
}

void UringReactor::listen(std::size_t index) {
  if (accepting_.size() <= index) accepting_.resize(index + 1);
  if (!accepting_[index].armed) accept_next(index);
}

void UringReactor::stop_listening(std::size_t index) {
  if (!accepting_[index].armed) return;
  io_uring_sqe& request = ring_->next();
  ::io_uring_prep_cancel64(&request, kListenerToken + index, 0);
  request.user_data = kNobody;
}

bool UringReactor::may_accept() const {
  return std::any_of(accepting_.begin(), accepting_.end(), [](const Accepting& each) { return each.armed; });
}

void UringReactor::accept_next(std::size_t listener) {
  Accepting& next = accepting_[listener];
  next.armed = true;
  next.peer = SockAddr();
  io_uring_sqe& request = ring_->next();
  ::io_uring_prep_accept(&request, this->listener(listener).fd(), next.peer.get(), &next.peer.size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
  request.user_data = kListenerToken + listener;
}

void UringReactor::accepted(std::size_t listener, int answer) {
  accepting_[listener].armed = false;
  const Listener::Outcome outcome = Listener::outcome_of(answer < 0 ? -answer : 0);
  const Address peer = answer < 0 ? Address() : Address::from(accepting_[listener].peer);
  if (outcome == Listener::Outcome::out_of_resources) pause_accepting();
  if (outcome == Listener::Outcome::accepted) welcome(Fd(answer), peer, listener);
  if (outcome == Listener::Outcome::closed) return closed(listener);
  accepting() ? accept_next(listener) : accept_rest(listener);
}

/// An accept that is taken back may have been the one that the kernel woke for a client: whoever else accepts on the
/// socket would not hear of it.
void UringReactor::accept_rest(std::size_t listener) {
  Fd socket;
  Address peer;
  while (this->listener(listener).accept(socket, peer, Listener::Mode::non_blocking) == Listener::Outcome::accepted)
    welcome(std::move(socket), peer, listener);
}

bool UringReactor::wait_now(WaitFor& wait) {
  if (wait.want() != Want::time) return false;
  if (cutting()) wait.result = Wait::cut;
  return cutting();
}

void UringReactor::arm(WaitFor& wait) {
  wait.slot = waits_.add(wait);
  ask(wait);
}

/// Puts the request for what is waited for into the queue.
void UringReactor::ask(WaitFor& wait) {
  const Channel& channel = *wait.channel();
  io_uring_sqe& request = ring_->next();
  switch (wait.want()) {
    case Want::receive:
      ::io_uring_prep_recv(&request, channel.fd(), nullptr, kReceiveBuffer, 0);
      request.flags |= IOSQE_BUFFER_SELECT;
      request.buf_group = Uring::kBufferGroup;
      // An empty socket is not worth the attempt.
      if (channel.readiness.drained) request.ioprio |= IORING_RECVSEND_POLL_FIRST;
      break;
    case Want::send: {
      const Received& bytes = wait.transfer().bytes;
      channel.start_send();
      // A lent buffer is not held while a slow reader makes room.
      const int at_once = bytes.kept() ? 0 : MSG_DONTWAIT;
      ::io_uring_prep_send(&request, channel.fd(), bytes.data().data(), bytes.data().size(), MSG_NOSIGNAL | at_once);
      break;
    }
    default: {
      const unsigned events = wait.want() == Want::write ? POLLOUT : POLLIN | POLLRDHUP;
      wait.channel()->readiness.drained = false;  // somebody else reads: nothing is known
      ::io_uring_prep_poll_add(&request, channel.fd(), events);
      break;
    }
  }
  request.user_data = waits_.token(wait.slot);
}

void UringReactor::disarm(WaitFor& wait) {
  io_uring_sqe& request = ring_->next();
  ::io_uring_prep_cancel64(&request, waits_.token(wait.slot), 0);
  request.user_data = kNobody;
  waits_.remove(wait.slot);
}

void UringReactor::poll(int timeout_ms) {
  ring_->submit_and_wait(timeout_ms);
  ring_->answers([this](const io_uring_cqe& answer) { take(answer); });
}

void UringReactor::take(const io_uring_cqe& answer) {
  const std::uint64_t token = answer.user_data;
  if (token == kStopToken) return stopped();
  if (token == kCutToken) return ask_to_cut();
  if (token == kNobody) return;
  if (token == kNewsToken) {
    take_news();
    return watch(news_fd(), kNewsToken);
  }
  if (token < waits_.kFirstToken) return accepted(token - kListenerToken, answer.res);
  WaitFor* const waiting = waits_.find(token);
  if (waiting == nullptr || !done(*waiting, answer)) return;
  waits_.remove(waiting->slot);
  resume(*waiting, Wait::ready);
}

/// Takes the outcome; false when the request had to be made anew.
bool UringReactor::done(WaitFor& wait, const io_uring_cqe& answer) {
  if (!wait.transfers()) return true;  // ready, or what is wrong shows at the next operation
  Transfer& transfer = wait.transfer();
  try {
    return wait.want() == Want::receive ? receive_done(transfer, answer) : send_done(transfer, answer);
  } catch (const std::bad_alloc&) {
    transfer.outcome = {IoResult::Status::error, 0, ENOMEM};
    return true;
  }
}

bool UringReactor::send_done(Transfer& wait, const io_uring_cqe& answer) {
  wait.outcome = wait.channel()->sent(answer.res, wait.bytes);
  if (wait.outcome.status != IoResult::Status::again) return true;
  wait.bytes.keep();
  ask(wait);
  return false;
}

bool UringReactor::receive_done(Transfer& wait, const io_uring_cqe& answer) {
  if (answer.res == -ENOBUFS) return receive_anew(wait);
  const auto size = static_cast<std::size_t>(answer.res > 0 ? answer.res : 0);
  if ((answer.flags & IORING_CQE_F_BUFFER) != 0)
    wait.bytes.hold(ring_->buffer(Uring::buffer_of(answer), size), *ring_, Uring::buffer_of(answer));
  else
    wait.bytes.filled(size);
  wait.channel()->readiness.drained = (answer.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
  wait.outcome = wait.channel()->received(answer.res);
  return true;
}

/// All buffers were in use: with more of them or, when there are as many as there may be, with one of its own.
bool UringReactor::receive_anew(Transfer& wait) {
  if (ring_->add_buffers()) {
    ask(wait);
    return false;
  }
  const auto memory = wait.bytes.own(kReceiveBuffer);
  io_uring_sqe& request = ring_->next();
  ::io_uring_prep_recv(&request, wait.channel()->fd(), memory.data(), memory.size(), 0);
  request.user_data = waits_.token(wait.slot);
  return false;
}

}  // namespace farol
