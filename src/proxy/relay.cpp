#include "proxy/relay.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace farol::proxy {
namespace {

using Status = IoResult::Status;

/// A stream is spliced, small traffic copied: a pipe costs two descriptors and two system calls per turn, so it pays
/// only for those who fill the buffer.
constexpr std::size_t kSmall = 16 * 1024;
/// Without a byte for this long, or after so many small turns, a stream is no stream any more and gives its pipe back.
constexpr auto kQuiet = std::chrono::milliseconds(100);
constexpr int kSmallTurns = 8;

/// The part of a read that the sink would not take at once: kept aside, for the thread's buffer is not ours across a
/// wait.
Task<bool> write_rest(Channel& to, std::vector<std::byte> rest, Link& link, std::atomic<std::uint64_t>& bytes) {
  std::span<const std::byte> left(rest);
  while (!left.empty()) {
    const IoResult sent = to.write(left);
    if (sent.status == Status::ok) {
      left = left.subspan(sent.bytes);
      bytes.fetch_add(sent.bytes, std::memory_order_relaxed);
      link.touch();
      continue;
    }
    if (sent.status != Status::again) co_return false;
    const Wait wait = co_await to.writable();
    if (wait == Wait::cut) co_return false;
  }
  co_return true;
}

/// Empties the pipe into the sink. False when the sink takes no more.
Task<bool> drain(Pipe& pipe, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes) {
  while (pipe.content > 0) {
    const IoResult moved = to.write_from(pipe);
    if (moved.status == Status::ok) {
      bytes.fetch_add(moved.bytes, std::memory_order_relaxed);
      link.touch();
      continue;
    }
    if (moved.status != Status::again) co_return false;
    const Wait wait = co_await to.writable();
    if (wait == Wait::cut) co_return false;
  }
  co_return true;
}

/// Copies until the end, or until a read fills the buffer: then nothing, and it is time to splice. `drained`: the source
/// has nothing now, as far as we know.
Task<std::optional<RelayEnd>> copy(Io& io, Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes,
                                   bool may_splice, bool drained) {
  for (;;) {
    if (drained) {
      const Wait wait = co_await from.more();
      if (wait == Wait::cut) co_return RelayEnd::source_failed;
    }
    const std::span<std::byte> buffer = io.scratch();
    const IoResult got = from.read(buffer);
    if (got.status == Status::again) {
      const Wait wait = co_await from.readable();
      if (wait == Wait::cut) co_return RelayEnd::source_failed;
      drained = false;
      continue;
    }
    if (got.status == Status::eof) co_return RelayEnd::eof;
    if (got.status == Status::error) co_return RelayEnd::source_failed;
    link.touch(from);
    drained = got.bytes < buffer.size();

    const std::span<const std::byte> data = buffer.first(got.bytes);
    const IoResult sent = to.write(data);
    if (sent.status == Status::error) co_return RelayEnd::sink_failed;
    bytes.fetch_add(sent.bytes, std::memory_order_relaxed);
    link.touch();  // again: the write may have blocked for long
    if (sent.bytes < data.size()) {
      std::vector<std::byte> rest(data.begin() + static_cast<std::ptrdiff_t>(sent.bytes), data.end());
      Task<bool> writing = write_rest(to, std::move(rest), link, bytes);
      const bool written = co_await writing;
      if (!written) co_return RelayEnd::sink_failed;
    }
    if (!drained && may_splice) co_return std::nullopt;
  }
}

/// How a stretch of splicing ended.
enum class Stretch { quiet, unsupported, eof, source_failed, sink_failed };

/// Splices until the end, or until the stream goes quiet. The pipe is empty before each turn, so "again" can only mean
/// that the source is drained; a turn that moved less than the pipe holds does not (a pipe may also run out of slots).
/// No turn begins before there is input: a pipe must not be held by a blocked read.
Task<Stretch> splice(Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes, Pipe& pipe) {
  bool source_drained = false;
  for (int small_turns = 0; small_turns < kSmallTurns;) {
    const TimePoint quiet = Clock::now() + kQuiet;
    WaitFor input = source_drained ? from.readable(quiet) : from.more(quiet);
    const Wait wait = co_await input;
    if (wait == Wait::timeout) break;
    if (wait == Wait::cut) co_return Stretch::source_failed;

    const IoResult got = from.read_into(pipe);
    if (got.status == Status::eof) co_return Stretch::eof;
    if (got.status == Status::error) co_return got.unsupported() ? Stretch::unsupported : Stretch::source_failed;
    source_drained = got.status == Status::again;
    if (source_drained) continue;
    link.touch(from);
    Task<bool> draining = drain(pipe, to, link, bytes);
    const bool drained = co_await draining;
    if (!drained) co_return Stretch::sink_failed;
    small_turns = got.bytes < kSmall ? small_turns + 1 : 0;
  }
  co_return Stretch::quiet;
}

/// Gives a pipe back to its pool however the stretch ends.
class BorrowedPipe {
 public:
  explicit BorrowedPipe(PipePool& pool) : pool_(pool), pipe_(pool.take()) {}
  ~BorrowedPipe() {
    if (pipe_) pool_.give_back(std::move(*pipe_));
  }
  BorrowedPipe(const BorrowedPipe&) = delete;
  BorrowedPipe& operator=(const BorrowedPipe&) = delete;
  [[nodiscard]] explicit operator bool() const { return pipe_.has_value(); }
  Pipe& operator*() { return *pipe_; }

 private:
  PipePool& pool_;
  std::optional<Pipe> pipe_;
};

/// Empty: the stream went quiet, go on copying.
std::optional<RelayEnd> relay_end(Stretch stretch) {
  switch (stretch) {
    case Stretch::quiet:
    case Stretch::unsupported: return std::nullopt;
    case Stretch::eof: return RelayEnd::eof;
    case Stretch::source_failed: return RelayEnd::source_failed;
    case Stretch::sink_failed: return RelayEnd::sink_failed;
  }
  return std::nullopt;
}

/// Passes the end of one half on. The half that ends second needs no FIN of its own: the session closes right behind it.
RelayEnd pass_on(RelayEnd end, const Channel& from, const Channel& to, Link& link) {
  if (end == RelayEnd::eof && !link.half_close(from)) to.shutdown_write();
  return end;
}

}  // namespace

Task<RelayEnd> relay(Io& io, Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes) {
  bool may_splice = true;
  bool drained = true;
  for (;;) {
    Task<std::optional<RelayEnd>> copying = copy(io, from, to, link, bytes, may_splice, drained);
    std::optional<RelayEnd> end = co_await copying;
    if (end) co_return pass_on(*end, from, to, link);
    drained = false;
    BorrowedPipe pipe(io.pipes());
    if (!pipe) continue;  // none to have: this buffer's worth was copied, ask again after the next
    Task<Stretch> splicing = splice(from, to, link, bytes, *pipe);
    const Stretch stretch = co_await splicing;
    may_splice = stretch != Stretch::unsupported;
    end = relay_end(stretch);
    if (end) co_return pass_on(*end, from, to, link);
  }
}

}  // namespace farol::proxy
