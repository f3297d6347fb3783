#include "common/reactor.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>

namespace farol {
namespace {

constexpr std::size_t kStack = 256 * 1024;
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

void Reactor::start(const std::string& name) {
  thread_ = Thread(name, [this, name] { run(name); }, kStack);
}

void Reactor::accept_on(Numbered listener) {
  {
    MutexLock lock(mutex_);
    new_listeners_.push_back(std::move(listener));
  }
  news_.ring();
}

void Reactor::take_news() {
  news_.clear();
  std::vector<Numbered> news;
  {
    MutexLock lock(mutex_);
    news.swap(new_listeners_);
  }
  for (Numbered& listener : news) {
    const auto free = std::find_if(listeners_.begin(), listeners_.end(), [](const auto& l) { return !l.listener; });
    const auto place = static_cast<std::size_t>(free - listeners_.begin());
    if (free == listeners_.end()) listeners_.emplace_back();
    listeners_[place] = std::move(listener);
    if (accepting_) listen(place);
  }
}

Fd Reactor::open_stream(int family, TimePoint, int& error) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  error = fd ? 0 : errno;
  const int on = 1;
  if (fd) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

bool Reactor::spawn(Spawned& slot, const std::function<Task<>(Io&)>& body) {
  slot.task = body(*this);
  slot.task.start();
  return true;
}

void Reactor::supervise(Supervised& session) {
  session.supervised_at = static_cast<std::uint32_t>(sessions_.size());
  sessions_.push_back(&session);
  if (cutting_) session.cut(false);
}

void Reactor::release(Supervised& session) {
  sessions_.back()->supervised_at = session.supervised_at;
  sessions_[session.supervised_at] = sessions_.back();
  sessions_.pop_back();
}

void Reactor::suspend(WaitFor& wait, std::coroutine_handle<> waiting) {
  wait.suspended = waiting;
  if (wait.want() != Want::time) arm(wait);
  if (wait.deadline() != kNever) timers_.emplace(wait.deadline(), &wait);
}

void Reactor::resume(WaitFor& wait, Wait result) {
  wait.result = result;
  if (wait.deadline() != kNever) {
    auto [timer, end] = timers_.equal_range(wait.deadline());
    while (timer != end && timer->second != &wait) ++timer;
    if (timer != end) timers_.erase(timer);
  }
  wait.suspended.resume();
}

void Reactor::run(const std::string& name) {
  Heartbeats::Pulse pulse(context_.heartbeats, name);
  prefer_throughput();
  begin();
  set_accepting(true);
  while (!cutting_ || connections_ > 0) {
    const TimePoint before = Clock::now();
    poll(timeout(before, pulse.beat(before)));
    const TimePoint now = Clock::now();
    if (asked_to_cut_ && !cutting_) cut(now);
    fire_timers(now);
    check_sessions(now);
    if (now >= listen_again_ && !stopping_) set_accepting(true);
    if (stopping_ && !may_accept()) {
      listeners_.clear();
      accepts_ = false;
    }
  }
}

int Reactor::timeout(TimePoint now, TimePoint latest) const {
  TimePoint next = std::min(listen_again_, latest);
  if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
  if (!sessions_.empty()) next = std::min(next, next_tick_);
  return poll_timeout(next, now);
}

void Reactor::set_accepting(bool on) {
  listen_again_ = kNever;
  if (on == accepting_) return;
  accepting_ = on;
  for (std::size_t i = 0; i < listeners_.size(); ++i)
    if (listeners_[i].listener) on ? listen(i) : stop_listening(i);
}

void Reactor::pause_accepting() {
  set_accepting(false);
  listen_again_ = Clock::now() + kAcceptPause;
}

void Reactor::stopped() {
  stopping_ = true;
  set_accepting(false);
}

void Reactor::cut(TimePoint now) {
  stopped();
  cutting_ = true;
  next_tick_ = now + kTick;  // when what has not ended by itself is cut again
  for (Supervised* session : sessions_) session->cut(false);
  std::vector<WaitFor*> sleepers;
  for (const auto& [when, wait] : timers_)
    if (wait->want() == Want::time) sleepers.push_back(wait);
  for (WaitFor* sleeper : sleepers) resume(*sleeper, Wait::cut);
}

void Reactor::welcome(Fd socket, const Address& peer, std::size_t listener) {
  if (!context_.admission.enter()) return;
  ++connections_;
  try {
    context_.handler(*this, {std::move(socket), peer, listeners_[listener].number}).let_go(*this);
  } catch (const std::bad_alloc&) {  // no memory even for its coroutine
    leave();
  }
}

void Reactor::ended(const std::exception_ptr& error) noexcept {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& failure) {
    context_.log.error("connection failed", {{"reason", failure.what()}});
  }
  leave();
}

void Reactor::leave() {
  --connections_;
  context_.admission.leave();
}

void Reactor::fire_timers(TimePoint now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    WaitFor& wait = *timers_.begin()->second;
    if (wait.want() != Want::time) disarm(wait);
    resume(wait, Wait::timeout);
  }
}

void Reactor::check_sessions(TimePoint now) {
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  for (Supervised* session : sessions_)
    if (session->expired(now)) session->cut(true);
}

}  // namespace farol
