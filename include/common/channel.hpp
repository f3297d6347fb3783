#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/address.hpp"
#include "common/fd.hpp"
#include "common/pipe.hpp"
#include "common/slots.hpp"
#include "common/socket_option.hpp"
#include "common/task.hpp"
#include "common/wait.hpp"

namespace farol {

/// A reactor's notes on a Channel; unused where waits block.
struct Readiness {
  WaitFor* reader = nullptr;
  WaitFor* writer = nullptr;
  std::uint32_t slot = kNoSlot;  ///< where the reactor knows it, if it does
  bool readable = false;         ///< an edge came while nobody waited
  bool writable = false;
  bool ending = false;           ///< FIN, error or hang-up was announced: read to the end
  bool drained = false;          ///< the last receive took all there was
};

/// What a receive brings at most; who fills it has more to say, perhaps a stream.
inline constexpr std::size_t kReceiveBuffer = 16 * 1024;

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
  [[nodiscard]] Io& io() const { return io_; }

  IoResult read(std::span<std::byte> buffer) const;
  IoResult write(std::span<const std::byte> data) const;
  /// Moves bytes from the socket into an empty pipe, or out of a pipe into the socket, without copying them (splice(2)).
  IoResult read_into(Pipe& pipe) const;
  IoResult write_from(Pipe& pipe) const;
  WaitFor readable(TimePoint deadline = kNever) { return {io_, this, Want::read, deadline}; }
  /// Waits for input as well, but takes nothing for granted: readable() does, namely that the last read found the socket
  /// empty.
  WaitFor more(TimePoint deadline) { return {io_, this, Want::more, deadline}; }
  WaitFor writable(TimePoint deadline = kNever) { return {io_, this, Want::write, deadline}; }

  /// FIN: the peer reads everything written so far, then end of file.
  void shutdown_write() const;
  /// Ends our reading: wakes who waits to read, with end of file. The peer is not told.
  void shutdown_read() const;
  /// Ends both directions at once and wakes whoever waits on them; what was written is still delivered.
  void shut_down() const;
  /// Makes the coming close a reset (RST) instead of a FIN; unsent data is discarded.
  void reset_on_close() const;
  /// Bytes written but not yet acknowledged by the peer (SIOCOUTQ); none when the connection is gone.
  [[nodiscard]] std::size_t unacknowledged() const;
  /// Bytes that have come and that nobody has read yet (SIOCINQ).
  [[nodiscard]] std::size_t unread() const;
  /// A write is under way or waits for room; or it has failed.
  [[nodiscard]] bool is_writing() const { return writing_; }
  /// Nobody will write again, nor waits to.
  void give_up_writing() const { writing_ = false; }
  /// Bytes that the peer has acknowledged since the connection began.
  [[nodiscard]] std::uint64_t acknowledged() const;
  /// The connection is no more, as after a reset. One whose peer has closed its half is still there.
  [[nodiscard]] bool gone() const;
  /// See socket_option.hpp.
  void probe_when_idle(Duration limit) const;
  [[nodiscard]] Silence silence() const;
  /// The pending socket error, cleared by the call: the outcome of a connect.
  [[nodiscard]] int take_error() const;

  // For engines.
  Readiness readiness;
  /// receive() and send() by one system call, which blocks if the socket does.
  IoResult receive_now(Received& bytes, std::span<std::byte> buffer) const;
  IoResult send_now(Received& bytes) const;
  /// The same done by someone else: what the kernel answered (a count, or -errno). REQUIRES: start_send() before a send.
  IoResult received(int answer) const;
  void start_send() const { writing_ = true; }
  IoResult sent(int answer, Received& bytes) const;

 private:
  [[nodiscard]] IoResult true_end(IoResult got) const;

  Io& io_;
  Fd fd_;
  mutable std::atomic<bool> writing_{false};  ///< a write is under way, failed or fell short
};

/// The outcome of an outgoing connection attempt.
enum class ConnectResult { connected, refused, unreachable, timed_out, no_resources, cut };
/// What an error of connect(2) means; 0 is none. `no_resources`: it is this machine's, and says nothing of the server.
ConnectResult connect_error(int error);

/// Connects `channel` (fresh from open_stream) to `target`.
Task<ConnectResult> connect_stream(Channel& channel, Address target, TimePoint deadline);

/// Writes all of `data`, waiting as often as needed. False when the peer is gone or a wait ended before `deadline`.
Task<bool> write_all(Channel& channel, std::span<const std::byte> data, TimePoint deadline);

}  // namespace farol
