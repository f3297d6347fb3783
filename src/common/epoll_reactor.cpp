#include "common/epoll_reactor.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <utility>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr int kBatch = 256;  ///< events taken from the kernel at once

// What an event is about: the low tokens are ours, the rest are channels.
constexpr std::uint64_t kStopToken = 1, kCutToken = 2, kNewsToken = 3, kListenerToken = 16;

bool has_input(const Channel& channel) {
  pollfd state{channel.fd(), POLLIN, 0};
  return ::poll(&state, 1, 0) > 0;
}

WaitFor*& place_of(WaitFor& wait) {
  Readiness& readiness = wait.channel()->readiness;
  return wait.want() == Want::write || wait.want() == Want::send ? readiness.writer : readiness.reader;
}

}  // namespace

EpollReactor::EpollReactor(const ReactorContext& context)
    : Reactor(context),
      epoll_(check("epoll_create", ::epoll_create1(EPOLL_CLOEXEC))) {
  watch(context.stop.fd(), EPOLLIN, kStopToken);
  watch(context.cut.fd(), EPOLLIN, kCutToken);
  watch(news_fd(), EPOLLIN, kNewsToken);
}

void EpollReactor::watch(int fd, std::uint32_t events, std::uint64_t token) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  check("epoll_ctl", ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event));
}

void EpollReactor::listen(std::size_t index) { watch(listener(index).fd(), EPOLLIN, kListenerToken + index); }

void EpollReactor::stop_listening(std::size_t index) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener(index).fd(), nullptr);
}

/// Makes a socket known to epoll. Its present state comes as the first event.
bool EpollReactor::know(Channel& channel) {
  if (channel.readiness.slot != kNoSlot) return true;
  const std::uint32_t slot = channels_.add(channel);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = channels_.token(slot);
  const bool known = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel.fd(), &event) == 0;
  known ? void(channel.readiness.slot = slot) : channels_.remove(slot);
  return known;
}

bool EpollReactor::wait_now(WaitFor& wait) {
  if (wait.want() == Want::time) {
    if (cutting()) wait.result = Wait::cut;
    return cutting();
  }
  if (wait.transfers()) {
    if (transfer(wait.transfer())) return true;
    if (know(*wait.channel())) return false;
    wait.transfer().outcome = {IoResult::Status::error, 0, ENOMEM};
    return true;
  }
  Readiness& readiness = wait.channel()->readiness;
  if (wait.want() != Want::write) readiness.drained = false;  // somebody else reads: nothing is known
  if (wait.want() != Want::write && readiness.ending) return true;  // whatever is left, and then the end
  if (wait.want() == Want::more && has_input(*wait.channel())) return true;
  // An edge that came while nobody waited: the operation is worth another try.
  if (std::exchange(wait.want() == Want::write ? readiness.writable : readiness.readable, false)) return true;
  if (know(*wait.channel())) return false;
  wait.result = Wait::cut;
  return true;
}

/// Receives or sends, unless the kernel has nothing for it now. A receive that found less than it could hold has emptied
/// the socket, and whatever comes later is a new edge; but after a FIN was announced no edge will come.
bool EpollReactor::transfer(Transfer& wait) {
  Channel& channel = *wait.channel();
  Readiness& readiness = channel.readiness;
  if (wait.want() == Want::send) {
    wait.outcome = channel.send_now(wait.bytes);
    if (wait.outcome.status != IoResult::Status::again) return true;
    wait.bytes.keep();
    return false;
  }
  if (readiness.drained && !readiness.readable && !readiness.ending) return false;
  readiness.readable = false;
  wait.outcome = channel.receive_now(wait.bytes, scratch());
  const bool again = wait.outcome.status == IoResult::Status::again;
  readiness.drained = again || wait.outcome.bytes < kReceiveBuffer;
  return !again;
}

void EpollReactor::arm(WaitFor& wait) { place_of(wait) = &wait; }

void EpollReactor::disarm(WaitFor& wait) { place_of(wait) = nullptr; }

/// Somebody's socket is ready.
void EpollReactor::advance(WaitFor& wait) {
  if (wait.transfers() && !transfer(wait.transfer())) return;
  disarm(wait);
  resume(wait, Wait::ready);
}

void EpollReactor::poll(int timeout_ms) {
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), kBatch, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    dispatch(event.data.u64, event.events);
  }
}

void EpollReactor::dispatch(std::uint64_t token, std::uint32_t events) {
  if (token >= channels_.kFirstToken) return wake(token, events);
  if (token >= kListenerToken) return accept_client(token - kListenerToken);
  if (token == kNewsToken) return take_news();
  const bool cuts = token == kCutToken;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, cuts ? context().cut.fd() : context().stop.fd(), nullptr);
  cuts ? ask_to_cut() : stopped();
}

void EpollReactor::wake(std::uint64_t token, std::uint32_t events) {
  Channel* const channel = channels_.find(token);
  if (channel == nullptr) return;  // closed earlier in this batch
  Readiness& readiness = channel->readiness;
  const bool over = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (over || (events & EPOLLRDHUP) != 0) readiness.ending = true;
  const bool in = over || (events & (EPOLLIN | EPOLLRDHUP)) != 0;
  const bool out = over || (events & EPOLLOUT) != 0;
  if (out && readiness.writer == nullptr) readiness.writable = true;
  if (in) readiness.readable = true;
  if (in && readiness.reader != nullptr) {
    if (readiness.reader->want() != Want::receive) readiness.readable = false;
    advance(*readiness.reader);
    if (channels_.find(token) == nullptr) return;  // the reader has closed it
  }
  if (out && readiness.writer != nullptr) advance(*readiness.writer);
}

/// One client per event: the listener is level-triggered, and looking for a second one mostly finds nobody.
void EpollReactor::accept_client(std::size_t index) {
  Fd socket;
  Address peer;
  const Listener::Outcome outcome = listener(index).accept(socket, peer, Listener::Mode::non_blocking);
  if (outcome == Listener::Outcome::out_of_resources) pause_accepting();
  if (outcome == Listener::Outcome::closed) {
    stop_listening(index);
    closed(index);
  }
  if (outcome == Listener::Outcome::accepted) welcome(std::move(socket), peer, index);
}

}  // namespace farol
