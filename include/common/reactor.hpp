#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/engine.hpp"
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
  Reactor(const ReactorContext& context, std::vector<const Listener*> listeners)
      : context_(context), listeners_(std::move(listeners)) {}
  void start(const std::string& name);
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
  virtual void listen() = 0;
  virtual void stop_listening() = 0;
  /// Sees to it that resume() is called when what is waited for happens.
  virtual void arm(WaitFor& wait) = 0;
  /// The wait is over for another reason.
  virtual void disarm(WaitFor& wait) = 0;

  // What it calls.
  void resume(WaitFor& wait, Wait result);
  void welcome(Fd socket, const Address& peer, std::size_t listener);
  /// No descriptor or memory for a client: others get a chance to end before the next.
  void pause_accepting();
  void stopped();
  void cut();

  [[nodiscard]] const ReactorContext& context() const { return context_; }
  [[nodiscard]] const std::vector<const Listener*>& listeners() const { return listeners_; }
  [[nodiscard]] bool accepting() const { return accepting_; }
  [[nodiscard]] bool cutting() const { return cutting_; }

 private:
  void run(const std::string& name);
  void fire_timers(TimePoint now);
  void check_sessions(TimePoint now);
  void set_accepting(bool on);
  /// A connection's task has.
  void ended(const std::exception_ptr& error) noexcept override;
  void leave();
  [[nodiscard]] int timeout(TimePoint now, TimePoint latest) const;

  const ReactorContext context_;
  const std::vector<const Listener*> listeners_;
  std::array<std::byte, kReceiveBuffer> scratch_;
  std::multimap<TimePoint, WaitFor*> timers_;
  std::vector<Supervised*> sessions_;
  std::size_t connections_ = 0;
  TimePoint next_tick_{};
  TimePoint listen_again_ = kNever;
  bool accepting_ = false, stopping_ = false, cutting_ = false;
  Thread thread_;
};

}  // namespace farol
