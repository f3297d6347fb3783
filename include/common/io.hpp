#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/pipe.hpp"
#include "common/task.hpp"

namespace farol {

/// The seam between code that serves a connection and the engine that runs it. Sessions, relays and the HTTP core are
/// coroutines that read, write and, only when the kernel says "not now", `co_await` one of these waits. On the engine
/// `threads` every wait blocks the thread inside await_ready and nothing ever suspends; a reactor suspends instead.
/// Nothing above this file knows which.

class Channel;
class Io;

/// How a wait ended.
enum class Wait { ready, timeout, cut };

enum class Want { read, more, write, time };

/// Awaitable: made by Channel::readable(), more(), writable() and Io::sleep() only.
class [[nodiscard]] WaitFor {
 public:
  WaitFor(Io& io, Channel* channel, Want want, TimePoint deadline)
      : io_(io), channel_(channel), want_(want), deadline_(deadline) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Wait await_resume() const { return result; }

  [[nodiscard]] Channel* channel() const { return channel_; }
  [[nodiscard]] Want want() const { return want_; }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  Wait result = Wait::ready;            ///< set by the engine
  std::coroutine_handle<> suspended{};  ///< who waits (reactor only)

 private:
  Io& io_;
  Channel* channel_;
  Want want_;
  TimePoint deadline_;
};

/// A reactor's notes on a Channel; unused where waits block.
struct Readiness {
  std::uint64_t token = 0;  ///< 0: not registered yet
  bool readable = false;    ///< an edge came while nobody waited
  bool writable = false;
  bool ending = false;      ///< FIN, error or hang-up was announced: read to the end
  WaitFor* reader = nullptr;
  WaitFor* writer = nullptr;
};

/// What a read or write did. `again`: the kernel says "not now", so await readable() or writable().
struct IoResult {
  enum class Status { ok, again, eof, error };
  Status status = Status::ok;
  std::size_t bytes = 0;
  int error = 0;  ///< errno, for Status::error
  /// The operation itself is refused (splice on such a socket, no memory for it), not the connection broken.
  [[nodiscard]] bool unsupported() const;
};

/// A connected (or connecting) TCP socket that an engine serves. Owns the descriptor, the only place that closes it.
/// Thread safety: two coroutines may use it at once, one reading and one writing; shut_down() is for any thread as
/// long as the Channel lives. Not movable: an engine keeps its address.
class Channel {
 public:
  Channel(Io& io, Fd fd) : io_(io), fd_(std::move(fd)) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  [[nodiscard]] int fd() const { return fd_.get(); }

  IoResult read(std::span<std::byte> buffer) const;
  IoResult write(std::span<const std::byte> data) const;
  /// Moves bytes from the socket into an empty pipe, or out of a pipe into the socket, without copying them (splice(2)).
  IoResult read_into(Pipe& pipe) const;
  IoResult write_from(Pipe& pipe) const;
  WaitFor readable(TimePoint deadline = kNever) { return {io_, this, Want::read, deadline}; }
  /// After a read that took all there was: waits for more, unless the next read is the better way to find out (it
  /// blocks, or nothing is known of the socket yet). With a deadline it waits for input in any case, at most so long,
  /// and takes nothing for granted: readable() does, namely that the last read found the socket empty.
  WaitFor more(TimePoint deadline = kNever) { return {io_, this, Want::more, deadline}; }
  WaitFor writable(TimePoint deadline = kNever) { return {io_, this, Want::write, deadline}; }

  /// FIN: the peer reads everything written so far, then end of file.
  void shutdown_write() const;
  /// Ends our reading: wakes who waits to read, with end of file. The peer is not told.
  void shutdown_read() const;
  /// Ends both directions at once and wakes whoever waits on them; what was written is still delivered.
  void shut_down() const;
  /// Makes the coming close a reset (RST) instead of a FIN; unsent data is discarded.
  void reset_on_close() const;
  /// Bytes written but not yet acknowledged by the peer (SIOCOUTQ).
  [[nodiscard]] std::size_t unacknowledged() const;
  /// The pending socket error, cleared by the call: the outcome of a connect.
  [[nodiscard]] int take_error() const;

  Readiness readiness;  ///< the engine's

 private:
  Io& io_;
  Fd fd_;
};

/// Something with a clock of its own that an engine watches: a session. While it is supervised, the engine asks it about
/// its time-outs a few times a second and cuts it when told to stop.
class Supervised {
 public:
  /// Called from the engine's own thread, never after ~Supervision. Must not block.
  virtual bool expired(TimePoint now) const = 0;
  virtual void cut(bool timed_out) = 0;

  std::size_t supervised_at = 0;  ///< the engine's: its place in a list

 protected:
  ~Supervised() = default;
};

/// A coroutine running beside the one that spawned it. Lives in the spawner's frame; join() before it goes.
class Spawned {
 public:
  Task<> task;
  bool finished = false;             ///< set by the engine
  std::coroutine_handle<> joiner{};  ///< who waits for it (reactor only)
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
    void await_suspend(std::coroutine_handle<> waiting) { slot_.joiner = waiting; }
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
  Supervision(Io& io, Supervised& session) : io_(io), session_(session) { io_.supervise(session_); }
  ~Supervision() { io_.release(session_); }
  Supervision(const Supervision&) = delete;
  Supervision& operator=(const Supervision&) = delete;

 private:
  Io& io_;
  Supervised& session_;
};

inline Channel::~Channel() {
  if (readiness.token != 0) io_.forget(*this);
}

inline bool WaitFor::await_ready() { return io_.wait_now(*this); }
inline void WaitFor::await_suspend(std::coroutine_handle<> waiting) { io_.suspend(*this, waiting); }

/// A client that was accepted.
struct Accepted {
  Fd socket;
  Address peer;
  Address local;             ///< the listener's address
  std::size_t listener = 0;  ///< its index in the order they were given
};

/// Serves one connection, from accept to close. What it throws is logged and closes that connection only.
using Handler = std::function<Task<>(Io&, Accepted)>;

/// The outcome of an outgoing connection attempt.
enum class ConnectResult { connected, refused, unreachable, timed_out, no_resources, cut };

/// Connects `channel` (fresh from open_stream) to `target`.
Task<ConnectResult> connect_stream(Channel& channel, Address target, TimePoint deadline);

/// Writes all of `data`, waiting as often as needed. False when the peer is gone or a wait ended before `deadline`.
Task<bool> write_all(Channel& channel, std::span<const std::byte> data, TimePoint deadline);

}  // namespace farol
