#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "common/address.hpp"
#include "common/channel.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/pipe.hpp"
#include "common/task.hpp"
#include "common/wait.hpp"

namespace farol {

/// The seam between code that serves a connection and the engine that runs it. Sessions, relays and the HTTP core are
/// coroutines that read, write and, only when the kernel says "not now", `co_await` one of these waits. On the engine
/// `threads` every wait blocks the thread inside await_ready and nothing ever suspends; a reactor suspends instead.
/// Nothing above this file knows which.

/// Something with a clock of its own that an engine watches: a session. While it is supervised, the engine asks it about
/// its time-outs a few times a second and cuts it when told to stop.
class Supervised {
 public:
  /// Called from the engine's own thread, never after ~Supervision. Must not block.
  virtual bool expired(TimePoint now) = 0;
  virtual void cut(bool timed_out) = 0;

  std::uint32_t supervised_at = 0;  ///< the engine's: its place in a list

 protected:
  ~Supervised() = default;
};

/// A coroutine running beside the one that spawned it. Lives in the spawner's frame; join() before it goes.
class Spawned {
 public:
  Task<> task;
  bool finished = false;  ///< set by the engine, where another thread runs it
};

/// An engine as one connection sees it.
class Io {
 public:
  virtual ~Io() = default;

  /// A TCP socket for an outgoing connection in the engine's mode; a connect(2) on it ends by `deadline` at the latest.
  /// Empty with errno's value in `error` when there is none to have.
  virtual Fd open_stream(int family, TimePoint deadline, int& error) = 0;

  /// Waits until a point in time; `cut` when the engine stops at once.
  WaitFor sleep(TimePoint until) { return {*this, nullptr, Want::time, until}; }

  /// Starts `body` beside the caller, on the Io it is handed. False when there is no thread for it.
  virtual bool spawn(Spawned& slot, const std::function<Task<>(Io&)>& body) = 0;
  class [[nodiscard]] Join {
   public:
    Join(Io& io, Spawned& slot) : io_(io), slot_(slot) {}
    bool await_ready() { return io_.join_now(slot_); }
    void await_suspend(std::coroutine_handle<> waiting) { slot_.task.continue_with(waiting); }
    void await_resume() { slot_.task.result(); }

   private:
    Io& io_;
    Spawned& slot_;
  };
  /// Awaits the end of a spawned coroutine; rethrows what it threw.
  Join join(Spawned& slot) { return {*this, slot}; }

  /// A buffer of this thread. Its bytes are gone after the next co_await: keep what matters.
  virtual std::span<std::byte> scratch() = 0;
  /// The engine's pipes, for streams that are worth splicing.
  virtual PipePool& pipes() = 0;

  virtual void supervise(Supervised& session) = 0;
  virtual void release(Supervised& session) = 0;

  // For the awaitables: true when the wait is over already (the result is set).
  virtual bool wait_now(WaitFor& wait) = 0;
  virtual void suspend(WaitFor& wait, std::coroutine_handle<> waiting) = 0;
  virtual bool join_now(Spawned& slot) = 0;
  /// A channel that a reactor knows goes away.
  virtual void forget(Channel& channel) { static_cast<void>(channel); }
};

/// Supervises a session for a scope.
class Supervision {
 public:
  Supervision(Io& io, Supervised& session) : io_(io), session_(&session) { io_.supervise(*session_); }
  ~Supervision() { io_.release(*session_); }
  Supervision(const Supervision&) = delete;
  Supervision& operator=(const Supervision&) = delete;
  /// From here on supervises `other` instead. A cut that came before, or comes in between, is carried out on it.
  void turn_to(Supervised& other) {
    io_.release(*session_);
    session_ = &other;
    io_.supervise(*session_);
  }

 private:
  Io& io_;
  Supervised* session_;
};

inline bool WaitFor::await_ready() { return io_.wait_now(*this); }
inline void WaitFor::await_suspend(std::coroutine_handle<> waiting) { io_.suspend(*this, waiting); }

/// A client that was accepted.
struct Accepted {
  Fd socket;
  Address peer;
  std::uint32_t listener = 0;  ///< the number it was given
};

/// Serves one connection, from accept to close. What it throws is logged and closes that connection only.
using Handler = std::function<Task<>(Io&, Accepted)>;

}  // namespace farol
