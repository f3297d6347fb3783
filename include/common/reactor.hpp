#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/engine.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"

namespace farol {

/// What the reactors of one engine share. The engine owns it all.
struct ReactorContext {
  const Handler& handler;
  const Logger& log;
  Admission& admission;
  const StopEvent& stop;
  const StopEvent& cut;
  PipePool& pipes;
  Heartbeats* heartbeats;
};

/// One thread that runs its connections' coroutines and resumes each when the kernel has something for it. What all
/// reactors do alike is here: connections from accept to end, spawned coroutines, timers, supervision, the two-stage
/// stop. How the kernel is asked is the derived class's. Everything in it belongs to that thread.
class Reactor : public Io, private TaskOwner {
 public:
  explicit Reactor(const ReactorContext& context) : context_(context) {}
  void start(const std::string& name);
  struct Numbered {
    std::shared_ptr<const Listener> listener;
    std::uint32_t number = 0;
  };
  /// Accepts on one more listener, which is non-blocking. Any thread.
  void accept_on(Numbered listener);
  /// A client may still come. Any thread.
  [[nodiscard]] bool accepts() const { return accepts_.load(); }
  /// Waits for the thread's end: after the cut, when the last connection is gone.
  void join() { thread_.join(); }

  Fd open_stream(int family, TimePoint deadline, int& error) override;
  bool spawn(Spawned& slot, const std::function<Task<>(Io&)>& body) override;
  bool join_now(Spawned& slot) override { return slot.task.done(); }
  std::span<std::byte> scratch() override { return scratch_; }
  PipePool& pipes() override { return context_.pipes; }
  void supervise(Supervised& session) override;
  void release(Supervised& session) override;
  void suspend(WaitFor& wait, std::coroutine_handle<> waiting) override;

 protected:
  // The kernel's side.
  /// Called first, on the reactor's thread.
  virtual void begin() {}
  /// Waits for events, at most so long (milliseconds, -1: for ever), and acts on them.
  virtual void poll(int timeout_ms) = 0;
  virtual void listen(std::size_t listener) = 0;
  virtual void stop_listening(std::size_t listener) = 0;
  /// After stop_listening(): a client may come nevertheless.
  [[nodiscard]] virtual bool may_accept() const = 0;
  /// Sees to it that resume() is called when what is waited for happens.
  virtual void arm(WaitFor& wait) = 0;
  /// The wait is over for another reason.
  virtual void disarm(WaitFor& wait) = 0;

  // What it calls.
  void resume(WaitFor& wait, Wait result);
  void welcome(Fd socket, const Address& peer, std::size_t listener);
  /// No descriptor or memory for a client: others get a chance to end before the next.
  void pause_accepting();
  /// A listener is closed: it is let go.
  void closed(std::size_t listener) { listeners_[listener].listener.reset(); }
  void stopped();
  /// The engine is to cut: that is done behind what has happened by now.
  void ask_to_cut() { asked_to_cut_ = true; }
  /// news_fd() is readable.
  void take_news();

  [[nodiscard]] const ReactorContext& context() const { return context_; }
  [[nodiscard]] const Listener& listener(std::size_t index) const { return *listeners_[index].listener; }
  [[nodiscard]] int news_fd() const { return news_.fd(); }
  [[nodiscard]] bool accepting() const { return accepting_; }
  [[nodiscard]] bool cutting() const { return cutting_; }

 private:
  void run(const std::string& name);
  void cut(TimePoint now);
  void fire_timers(TimePoint now);
  void check_sessions(TimePoint now);
  void set_accepting(bool on);
  /// A connection's task has.
  void ended(const std::exception_ptr& error) noexcept override;
  void leave();
  [[nodiscard]] int timeout(TimePoint now, TimePoint latest) const;

  const ReactorContext context_;
  std::vector<Numbered> listeners_;  ///< by index; none where it was closed
  std::array<std::byte, kReceiveBuffer> scratch_;
  std::multimap<TimePoint, WaitFor*> timers_;
  std::vector<Supervised*> sessions_;
  std::size_t connections_ = 0;
  TimePoint next_tick_{};
  TimePoint listen_again_ = kNever;
  std::atomic<bool> accepts_{true};
  bool accepting_ = false, stopping_ = false, asked_to_cut_ = false, cutting_ = false;

  Bell news_;  ///< rings when there are new listeners
  Mutex mutex_;
  std::vector<Numbered> new_listeners_ GUARDED_BY(mutex_);

  Thread thread_;
};

}  // namespace farol
