#include "common/threads_engine.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>

#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol {
namespace {

constexpr std::size_t kStack = 64 * 1024;
constexpr auto kSupervisorTick = std::chrono::milliseconds(100);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

/// Everything of Io that is the same on a worker and on its partner: waits block.
class BlockingIo : public Io {
 public:
  BlockingIo(const StopEvent& cut, PipePool& pipes) : cut_(cut), pipes_(pipes) {}

  Fd open_stream(int family, TimePoint deadline, int& error) override {
    Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    error = fd ? 0 : errno;
    if (!fd) return fd;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (deadline != kNever) {  // connect(2) honours SO_SNDTIMEO; a later send that runs into it says "again"
      const auto left = std::max<Duration>(deadline - Clock::now(), std::chrono::milliseconds(1));
      const auto us = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
      const timeval limit{us / 1'000'000, us % 1'000'000};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    return fd;
  }

  bool wait_now(WaitFor& wait) override {
    if (wait.transfers()) return transfer(wait.transfer());
    if (wait.want() == Want::time) {
      wait.result = cut_.wait_until(wait.deadline()) ? Wait::cut : Wait::timeout;
      return true;
    }
    wait.result = poll(*wait.channel(), wait.want() == Want::write ? POLLOUT : POLLIN, wait.deadline());
    if (wait.result == Wait::ready && cut_.fired()) wait.result = Wait::cut;
    return true;
  }

  void suspend(WaitFor&, std::coroutine_handle<>) override {}  // never reached: every wait ends in wait_now
  PipePool& pipes() override { return pipes_; }

 private:
  static Wait poll(const Channel& channel, short events, TimePoint deadline) {
    pollfd fd{channel.fd(), events, 0};
    for (;;) {
      if (::poll(&fd, 1, poll_timeout(deadline, Clock::now())) > 0) return Wait::ready;
      if (Clock::now() >= deadline) return Wait::timeout;
    }
  }
  bool transfer(Transfer& wait) {
    const Channel& channel = *wait.channel();
    const bool receives = wait.want() == Want::receive;
    for (;;) {
      wait.outcome = receives ? channel.receive_now(wait.bytes, scratch()) : channel.send_now(wait.bytes);
      if (wait.outcome.status != IoResult::Status::again) return true;
      poll(channel, receives ? POLLIN : POLLOUT, kNever);  // the connect's time-out, or a socket that does not block
    }
  }

  const StopEvent& cut_;
  PipePool& pipes_;
};

void run_to_end(Task<>& task) {
  task.start();
  task.result();
}

}  // namespace

/// The thread that runs the second coroutine of a worker's connection. Started with the first one.
class ThreadsEngine::Partner final : public BlockingIo {
 public:
  Partner(const StopEvent& cut, PipePool& pipes, const std::string& name) : BlockingIo(cut, pipes) {
    auto started = Thread::try_start(name + "-back", [this] { run(); }, kStack);
    if (started) thread_ = std::move(*started);
  }
  ~Partner() override {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
  }

  [[nodiscard]] bool started() const { return thread_.joinable(); }
  void give(Spawned& slot) {
    {
      MutexLock lock(mutex_);
      job_ = &slot;
    }
    changed_.notify_one();
  }
  void wait_for(Spawned& slot) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock lock(mutex_.native());
    changed_.wait(lock, [&] { return slot.finished; });
  }

  bool spawn(Spawned&, const std::function<Task<>(Io&)>&) override { return false; }
  bool join_now(Spawned&) override { return true; }
  std::span<std::byte> scratch() override { return {scratch_, kReceiveBuffer}; }
  void supervise(Supervised&) override {}
  void release(Supervised&) override {}

 private:
  void run() {
    prefer_throughput();
    // Not on the stack: -fstack-clash-protection would touch all of its pages, and an idle connection never does.
    const std::unique_ptr<std::byte[]> buffer(new std::byte[kReceiveBuffer]);
    scratch_ = buffer.get();
    while (Spawned* job = next_job()) {
      job->task.start();
      finish(*job);
    }
  }
  Spawned* next_job() NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock lock(mutex_.native());
    changed_.wait(lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return job_ != nullptr || ending_; });
    return std::exchange(job_, nullptr);
  }
  void finish(Spawned& job) {
    {
      MutexLock lock(mutex_);
      job.finished = true;  // the worker may destroy the job from here on
    }
    changed_.notify_one();
  }

  std::byte* scratch_ = nullptr;  ///< run()'s
  Mutex mutex_;
  std::condition_variable changed_;
  Spawned* job_ GUARDED_BY(mutex_) = nullptr;
  bool ending_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: joined before what it uses goes
};

/// A thread that accepts and serves.
class ThreadsEngine::Worker final : public BlockingIo {
 public:
  Worker(ThreadsEngine& engine, std::shared_ptr<Gate> gate)
      : BlockingIo(engine.cut_, engine.pipes_), engine_(engine), gate_(std::move(gate)) {}

  [[nodiscard]] const std::shared_ptr<Gate>& gate() const { return gate_; }

  bool start() {
    auto started = Thread::try_start(engine_.options_.name, [this] { run(); }, kStack);
    if (started) thread_ = std::move(*started);
    return started.has_value();
  }

  bool spawn(Spawned& slot, const std::function<Task<>(Io&)>& body) override {
    if (!partner_) partner_ = std::make_unique<Partner>(engine_.cut_, engine_.pipes_, engine_.options_.name);
    if (!partner_->started()) {
      partner_.reset();
      return false;
    }
    slot.task = body(*partner_);
    partner_->give(slot);
    return true;
  }
  bool join_now(Spawned& slot) override {
    partner_->wait_for(slot);
    return true;
  }
  std::span<std::byte> scratch() override { return {scratch_, kReceiveBuffer}; }

  void supervise(Supervised& session) override {
    MutexLock lock(mutex_);
    session_ = &session;
    if (engine_.cut_.fired()) session.cut(false);
  }
  void release(Supervised&) override {
    MutexLock lock(mutex_);
    session_ = nullptr;
  }
  /// Ends an accept(2) that waits, if there is one: it looks around, and waits on if there is no reason not to.
  void wake() { thread_.interrupt(); }
  void check_session(TimePoint now, bool cut) {
    MutexLock lock(mutex_);
    if (session_ == nullptr) return;
    if (cut)
      session_->cut(false);
    else if (session_->expired(now))
      session_->cut(true);
  }

 private:
  void run() {
    prefer_throughput();
    // Not on the stack: -fstack-clash-protection would touch all of its pages, and an idle connection never does.
    const std::unique_ptr<std::byte[]> buffer(new std::byte[kReceiveBuffer]);
    scratch_ = buffer.get();
    engine_.work(*this);
  }

  ThreadsEngine& engine_;
  const std::shared_ptr<Gate> gate_;
  std::byte* scratch_ = nullptr;
  std::unique_ptr<Partner> partner_;
  Mutex mutex_;
  Supervised* session_ GUARDED_BY(mutex_) = nullptr;
  Thread thread_;  // last: joined before what it uses goes
};

ThreadsEngine::ThreadsEngine(Handler handler, Options options, const Logger& log)
    : Engine(options.max_connections),
      handler_(std::move(handler)),
      options_(std::move(options)),
      log_(log),
      pipes_(options_.max_pipes) {
  supervisor_ = Thread(options_.name + "-watch", [this] { supervise_all(); });
}

ThreadsEngine::~ThreadsEngine() {
  stop();
  cut();
  supervisor_.join();
}

void ThreadsEngine::listen(std::shared_ptr<const Listener> listener, std::uint32_t number) {
  for (std::size_t i = 0; i < listener->sockets(); ++i) {
    const auto gate = std::make_shared<Gate>();
    gate->listener = std::shared_ptr<const Listener>(listener, &listener->twin(i));
    gate->listener->set_blocking(true);
    gate->number = number;
    if (!start_worker(gate)) throw StartError("cannot start a thread: " + error_text(EAGAIN));
  }
  MutexLock lock(mutex_);
  std::erase_if(listeners_, [](const auto& known) { return known.expired(); });
  listeners_.push_back(std::move(listener));
}

void ThreadsEngine::stop() {
  ending_ = true;
  stop_.fire();
  MutexLock lock(mutex_);
  for (const auto& known : listeners_)
    if (const auto listener = known.lock()) listener->close_listening();
}

/// The supervisor goes on waking those who wait nevertheless.
void ThreadsEngine::release() {
  {
    MutexLock lock(mutex_);
    listeners_.clear();  // stop() has none to close
  }
  ending_ = true;
  stop_.fire();
  wake_waiting();
}

bool ThreadsEngine::accepts() {
  MutexLock lock(mutex_);
  return std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) { return worker->gate()->waiting.load() > 0; });
}

void ThreadsEngine::drop_listeners() {
  MutexLock lock(mutex_);
  for (const auto& worker : workers_) worker->gate()->listener.reset();
}

void ThreadsEngine::cut() { cut_.fire(); }

bool ThreadsEngine::start_worker(const std::shared_ptr<Gate>& gate) {
  auto worker = std::make_unique<Worker>(*this, gate);
  gate->waiting.fetch_add(1);
  MutexLock lock(mutex_);
  if (stop_.fired() || !worker->start()) {
    gate->waiting.fetch_sub(1);
    return false;
  }
  workers_.push_back(std::move(worker));
  return true;
}

void ThreadsEngine::work(Worker& self) {
  std::atomic<int>& waiting = self.gate()->waiting;
  Accepted client;
  while (next_client(self, client)) {
    // The last one waiting leaves a successor behind. Without a thread for it, clients wait in the backlog until a
    // worker comes back: nobody is lost.
    if (waiting.fetch_sub(1) == 1) start_worker(self.gate());
    serve(self, std::move(client));
    if (!wait_again(waiting)) return retire(self);
  }
  waiting.fetch_sub(1);
  retire(self);
}

/// Counts a worker back in unless enough are waiting. Never more, not even for a moment: whoever is the last one
/// waiting must know it.
bool ThreadsEngine::wait_again(std::atomic<int>& waiting) const {
  const int most = std::max(static_cast<int>(options_.idle_workers), 1);
  int present = waiting.load();
  while (present < most)
    if (waiting.compare_exchange_weak(present, present + 1)) return true;
  return false;
}

bool ThreadsEngine::next_client(Worker& self, Accepted& client) {
  Gate& gate = *self.gate();
  client.listener = gate.number;
  // Looked at after this worker was counted as waiting: whoever sees none waiting after the end began knows that it is so.
  while (!ending_) {
    switch (gate.listener->accept(client.socket, client.peer)) {
      case Listener::Outcome::accepted: break;
      case Listener::Outcome::again: continue;
      case Listener::Outcome::out_of_resources:
        if (stop_.wait_until(Clock::now() + kAcceptPause)) return false;
        continue;
      case Listener::Outcome::closed: return false;
    }
    if (admission_.enter()) return true;
    client.socket.reset();
  }
  return false;
}

void ThreadsEngine::serve(Worker& self, Accepted client) {
  try {
    Task<> connection = handler_(self, std::move(client));
    run_to_end(connection);
  } catch (const std::exception& error) {
    log_.error("connection failed", {{"reason", error.what()}});
  }
  admission_.leave();
}

void ThreadsEngine::retire(Worker& self) {
  {
    MutexLock lock(mutex_);
    const auto mine = std::find_if(workers_.begin(), workers_.end(), [&](const auto& w) { return w.get() == &self; });
    retired_.splice(retired_.end(), workers_, mine);
  }
  retired_one_.notify_one();
}

void ThreadsEngine::supervise_all() {
  Heartbeats::Pulse pulse(options_.heartbeats, options_.name + "-watch");
  while (!cut_.wait_until(Clock::now() + kSupervisorTick)) {
    pulse.beat(Clock::now());
    check_sessions(false);
    if (stop_.fired()) wake_waiting();
    join_retired();
  }
  // More than once: a socket that is just about to connect cannot be shut down yet.
  do {
    pulse.beat(Clock::now());
    check_sessions(true);
    wake_waiting();
  } while (!all_ended_by(Clock::now() + kSupervisorTick));
  join_retired();
}

void ThreadsEngine::check_sessions(bool cutting) {
  MutexLock lock(mutex_);
  const TimePoint now = Clock::now();
  for (const auto& worker : workers_) worker->check_session(now, cutting);
}

/// On a listener that stays open nothing else would end the accept(2). Again and again: one may be just about to wait.
void ThreadsEngine::wake_waiting() {
  MutexLock lock(mutex_);
  for (const auto& worker : workers_)
    if (worker->gate()->waiting.load() > 0) worker->wake();
}

void ThreadsEngine::join_retired() {
  std::list<std::unique_ptr<Worker>> ended;
  MutexLock lock(mutex_);
  ended.swap(retired_);
}

bool ThreadsEngine::all_ended_by(TimePoint deadline) {
  std::unique_lock lock(mutex_.native());
  return retired_one_.wait_until(lock, deadline, [this]() NO_THREAD_SAFETY_ANALYSIS { return workers_.empty(); });
}

}  // namespace farol
