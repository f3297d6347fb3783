#include "common/events_engine.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr std::size_t kStack = 256 * 1024;
constexpr std::size_t kScratch = 16 * 1024;
constexpr int kBatch = 256;         ///< events taken from the kernel at once
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// What an epoll event is about: the low tokens are ours, the rest are channels.
constexpr std::uint64_t kStopToken = 1, kCutToken = 2, kListenerToken = 16, kFirstChannel = 1 << 16;

bool has_input(const Channel& channel) {
  pollfd state{channel.fd(), POLLIN, 0};
  return ::poll(&state, 1, 0) > 0;
}

}  // namespace

/// One thread with its epoll set and its connections. Everything in it belongs to that thread.
class EventsEngine::Reactor final : public Io {
 public:
  Reactor(EventsEngine& engine, std::vector<const Listener*> listeners)
      : engine_(engine), listeners_(std::move(listeners)), epoll_(check("epoll_create", ::epoll_create1(EPOLL_CLOEXEC))) {
    watch(engine_.stop_.fd(), EPOLLIN, kStopToken);
    watch(engine_.cut_.fd(), EPOLLIN, kCutToken);
    listen();
  }
  void start(const std::string& name) { thread_ = Thread(name, [this] { run(); }, kStack); }

  Fd open_stream(int family, TimePoint, int& error) override {
    Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    error = fd ? 0 : errno;
    const int on = 1;
    if (fd) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  bool spawn(Spawned& slot, const std::function<Task<>(Io&)>& body) override {
    slot.task = run_beside(slot, body(*this));
    slot.task.start();
    return true;
  }
  bool join_now(Spawned& slot) override { return slot.finished; }
  std::span<std::byte> scratch() override { return scratch_; }
  PipePool& pipes() override { return engine_.pipes_; }

  void supervise(Supervised& session) override {
    session.supervised_at = sessions_.size();
    sessions_.push_back(&session);
    if (cutting_) session.cut(false);
  }
  void release(Supervised& session) override {
    sessions_.back()->supervised_at = session.supervised_at;
    sessions_[session.supervised_at] = sessions_.back();
    sessions_.pop_back();
  }

  bool wait_now(WaitFor& wait) override;
  void suspend(WaitFor& wait, std::coroutine_handle<> waiting) override;
  void forget(Channel& channel) override { channels_.erase(channel.readiness.token); }

 private:
  struct Root {
    Task<> task;
  };
  using Roots = std::list<Root>;

  void run();
  void dispatch(const epoll_event& event);
  void wake(std::uint64_t token, std::uint32_t events);
  void resume(WaitFor& wait, Wait result);
  void accept_client(std::size_t index);
  void listen();
  void stop_listening();
  void fire_timers(TimePoint now);
  void check_sessions(TimePoint now);
  void run_ready();
  [[nodiscard]] int timeout(TimePoint now) const;
  void watch(int fd, std::uint32_t events, std::uint64_t token) const;
  bool know(Channel& channel);

  /// The outermost coroutine of a connection: notes its end for the reaper.
  Task<> serve(Roots::iterator self, Accepted client);
  /// The outermost coroutine of a spawned one: whoever joins it is resumed by the loop, not from inside here.
  Task<> run_beside(Spawned& slot, Task<> body);

  EventsEngine& engine_;
  const std::vector<const Listener*> listeners_;
  const Fd epoll_;
  std::array<std::byte, kScratch> scratch_;

  std::unordered_map<std::uint64_t, Channel*> channels_;
  std::uint64_t next_token_ = kFirstChannel;
  std::multimap<TimePoint, WaitFor*> timers_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<Supervised*> sessions_;
  Roots roots_;
  std::vector<Roots::iterator> ended_;
  TimePoint next_tick_{};
  TimePoint listen_again_ = kNever;
  bool listening_ = false;
  bool stopping_ = false;
  bool cutting_ = false;
  Thread thread_;  // last: joined before what it uses goes
};

void EventsEngine::Reactor::watch(int fd, std::uint32_t events, std::uint64_t token) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  check("epoll_ctl", ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event));
}

void EventsEngine::Reactor::listen() {
  for (std::size_t i = 0; i < listeners_.size(); ++i) watch(listeners_[i]->fd(), EPOLLIN, kListenerToken + i);
  listening_ = true;
  listen_again_ = kNever;
}

void EventsEngine::Reactor::stop_listening() {
  if (!std::exchange(listening_, false)) return;
  for (const Listener* listener : listeners_) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener->fd(), nullptr);
}

/// Makes a socket known to epoll, once, for both directions. Its present state comes as the first event.
bool EventsEngine::Reactor::know(Channel& channel) {
  if (channel.readiness.token != 0) return true;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = next_token_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel.fd(), &event) < 0) return false;
  channel.readiness.token = next_token_++;
  channels_.emplace(channel.readiness.token, &channel);
  return true;
}

bool EventsEngine::Reactor::wait_now(WaitFor& wait) {
  if (wait.want() == Want::time) {
    if (cutting_) wait.result = Wait::cut;
    return cutting_;
  }
  Readiness& readiness = wait.channel()->readiness;
  if (wait.want() != Want::write && readiness.ending) return true;  // whatever is left, and then the end
  if (wait.want() == Want::more) {
    if (readiness.token == 0 && wait.deadline() == kNever && !std::exchange(readiness.tried, true))
      return true;  // nothing is known yet: reading is the way to find out
    if (wait.deadline() != kNever && has_input(*wait.channel())) return true;
  }
  // An edge that came while nobody waited: the operation is worth another try.
  if (std::exchange(wait.want() == Want::write ? readiness.writable : readiness.readable, false)) return true;
  if (know(*wait.channel())) return false;
  wait.result = Wait::cut;
  return true;
}

void EventsEngine::Reactor::suspend(WaitFor& wait, std::coroutine_handle<> waiting) {
  wait.suspended = waiting;
  if (wait.channel() != nullptr) {
    Readiness& readiness = wait.channel()->readiness;
    (wait.want() == Want::write ? readiness.writer : readiness.reader) = &wait;
  }
  if (wait.deadline() != kNever) timers_.emplace(wait.deadline(), &wait);
}

void EventsEngine::Reactor::resume(WaitFor& wait, Wait result) {
  wait.result = result;
  if (wait.channel() != nullptr) {
    Readiness& readiness = wait.channel()->readiness;
    (wait.want() == Want::write ? readiness.writer : readiness.reader) = nullptr;
  }
  if (wait.deadline() != kNever) {
    auto [timer, end] = timers_.equal_range(wait.deadline());
    while (timer != end && timer->second != &wait) ++timer;
    if (timer != end) timers_.erase(timer);
  }
  wait.suspended.resume();
}

void EventsEngine::Reactor::run() {
  std::array<epoll_event, kBatch> events;
  while (!cutting_ || !roots_.empty()) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), kBatch, timeout(Clock::now()));
    for (int i = 0; i < count; ++i) dispatch(events[static_cast<std::size_t>(i)]);
    const TimePoint now = Clock::now();
    fire_timers(now);
    run_ready();
    check_sessions(now);
    for (const Roots::iterator root : ended_) roots_.erase(root);
    ended_.clear();
    if (now >= listen_again_ && !stopping_) listen();
  }
}

int EventsEngine::Reactor::timeout(TimePoint now) const {
  if (!ready_.empty() || !ended_.empty()) return 0;
  TimePoint next = listen_again_;
  if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
  if (!sessions_.empty()) next = std::min(next, next_tick_);
  return poll_timeout(next, now);
}

void EventsEngine::Reactor::dispatch(const epoll_event& event) {
  const std::uint64_t token = event.data.u64;
  if (token >= kFirstChannel) return wake(token, event.events);
  if (token >= kListenerToken) return accept_client(token - kListenerToken);
  stop_listening();
  stopping_ = true;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, token == kStopToken ? engine_.stop_.fd() : engine_.cut_.fd(), nullptr);
  if (token != kCutToken) return;
  cutting_ = true;
  for (Supervised* session : sessions_) session->cut(false);
  std::vector<WaitFor*> sleepers;
  for (const auto& [when, wait] : timers_)
    if (wait->want() == Want::time) sleepers.push_back(wait);
  for (WaitFor* sleeper : sleepers) resume(*sleeper, Wait::cut);
}

void EventsEngine::Reactor::wake(std::uint64_t token, std::uint32_t events) {
  auto found = channels_.find(token);
  if (found == channels_.end()) return;  // closed earlier in this batch
  Readiness& readiness = found->second->readiness;
  const bool over = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (over || (events & EPOLLRDHUP) != 0) readiness.ending = true;
  const bool in = over || (events & (EPOLLIN | EPOLLRDHUP)) != 0;
  const bool out = over || (events & EPOLLOUT) != 0;
  if (out && readiness.writer == nullptr) readiness.writable = true;
  if (in && readiness.reader == nullptr) readiness.readable = true;
  if (in && readiness.reader != nullptr) {
    resume(*readiness.reader, Wait::ready);
    found = channels_.find(token);  // the reader may have closed it
    if (found == channels_.end()) return;
  }
  WaitFor* writer = found->second->readiness.writer;
  if (out && writer != nullptr) resume(*writer, Wait::ready);
}

/// One client per event: the listener is level-triggered, and looking for a second one mostly finds nobody.
void EventsEngine::Reactor::accept_client(std::size_t index) {
  const Listener& listener = *listeners_[index];
  Accepted client;
  const Listener::Outcome outcome = listener.accept(client.socket, client.peer, Listener::Mode::non_blocking);
  if (outcome == Listener::Outcome::out_of_resources) {
    stop_listening();
    listen_again_ = Clock::now() + kAcceptPause;
  }
  if (outcome != Listener::Outcome::accepted || !engine_.admit(engine_.options_.max_connections)) return;
  client.local = listener.address();
  client.listener = index;
  try {
    const auto root = roots_.emplace(roots_.end());
    ended_.push_back(root);  // until it has a coroutine that says so itself
    root->task = serve(root, std::move(client));
    ended_.pop_back();
    root->task.start();
  } catch (const std::bad_alloc&) {
    engine_.leave();
  }
}

Task<> EventsEngine::Reactor::serve(Roots::iterator self, Accepted client) {
  try {
    Task<> connection = engine_.handler_(*this, std::move(client));
    co_await connection;
  } catch (const std::exception& error) {
    engine_.log_.error("connection failed", {{"reason", error.what()}});
  }
  engine_.leave();
  ended_.push_back(self);
}

Task<> EventsEngine::Reactor::run_beside(Spawned& slot, Task<> body) {
  std::exception_ptr failure;
  try {
    co_await body;
  } catch (...) {
    failure = std::current_exception();
  }
  slot.finished = true;
  if (slot.joiner) ready_.push_back(slot.joiner);
  if (failure) std::rethrow_exception(failure);
}

void EventsEngine::Reactor::run_ready() {
  while (!ready_.empty()) {
    std::vector<std::coroutine_handle<>> now;
    now.swap(ready_);
    for (const std::coroutine_handle<> waiting : now) waiting.resume();
  }
}

void EventsEngine::Reactor::fire_timers(TimePoint now) {
  while (!timers_.empty() && timers_.begin()->first <= now) resume(*timers_.begin()->second, Wait::timeout);
}

void EventsEngine::Reactor::check_sessions(TimePoint now) {
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  for (Supervised* session : sessions_)
    if (session->expired(now)) session->cut(true);
}

EventsEngine::EventsEngine(std::vector<const Listener*> listeners, Handler handler, Options options, const Logger& log)
    : listeners_(std::move(listeners)), handler_(std::move(handler)), options_(std::move(options)), log_(log) {
  for (std::size_t i = 0; i < std::max<std::size_t>(options_.reactors, 1); ++i) {
    std::vector<const Listener*> own;
    for (const Listener* listener : listeners_) {
      if (i > 0) listener = &twins_.emplace_back(listener->twin());
      listener->set_non_blocking();
      own.push_back(listener);
    }
    reactors_.push_back(std::make_unique<Reactor>(*this, std::move(own)));
  }
  for (std::size_t i = 0; i < reactors_.size(); ++i) reactors_[i]->start(options_.name + "-" + std::to_string(i));
}

EventsEngine::~EventsEngine() {
  stop();
  cut();
}

void EventsEngine::stop() {
  for (const Listener* listener : listeners_) listener->close_listening();
  for (const Listener& listener : twins_) listener.close_listening();
  stop_.fire();
}

void EventsEngine::cut() { cut_.fire(); }

}  // namespace farol
