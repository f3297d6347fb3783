#include "proxy/relay.hpp"

#include <optional>
#include <utility>

namespace farol::proxy {
namespace {

using Status = IoResult::Status;

/// A stream is spliced, small traffic copied: a pipe costs two descriptors and two system calls per turn, so it pays
/// only for those who fill the buffer.
constexpr std::size_t kSmall = 16 * 1024;
/// Without a byte for this long, or after so many small turns, a stream is no stream any more and gives its pipe back.
constexpr auto kQuiet = std::chrono::milliseconds(100);
constexpr int kSmallTurns = 8;

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

/// How a stretch of splicing ended.
enum class Stretch { quiet, unsupported, eof, source_failed, sink_failed };

/// Splices until the end, or until the stream goes quiet; without a pipe to have that is at once. The pipe is empty before each turn, so "again" can only mean
/// that the source is drained; a turn that moved less than the pipe holds does not (a pipe may also run out of slots).
/// No turn begins before there is input: a pipe must not be held by a blocked read.
Task<Stretch> splice(Io& io, Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes) {
  BorrowedPipe borrowed(io.pipes());
  if (!borrowed) co_return Stretch::quiet;
  Pipe& pipe = *borrowed;
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

/// Ends the session when a relay leaves by an exception (no memory), so that the other does not wait for it.
class CutOnFailure {
 public:
  explicit CutOnFailure(Link& link) : link_(&link) {}
  CutOnFailure(const CutOnFailure&) = delete;
  CutOnFailure& operator=(const CutOnFailure&) = delete;
  ~CutOnFailure() {
    if (link_ != nullptr) link_->cut(false);
  }
  void passed() { link_ = nullptr; }

 private:
  Link* link_;
};

}  // namespace

Task<> relay(Io& io, Channel& from, Channel& to, Link& link, Flow& flow, RelayOwner& owner) {
  CutOnFailure guard(link);
  Transfer data(io);
  std::optional<RelayEnd> end;
  bool may_splice = true;
  while (!end) {
    const IoResult got = co_await data.receive(from);
    if (got.status == Status::eof) end = RelayEnd::eof;
    if (got.status == Status::error) end = RelayEnd::source_failed;
    if (!end) link.touch(from);
    while (!end && !data.empty()) {
      const IoResult sent = co_await data.send(to);
      if (sent.status == Status::error) end = RelayEnd::sink_failed;
      flow.bytes.fetch_add(sent.bytes, std::memory_order_relaxed);
      link.touch();  // again: it may have taken long
    }
    if (end || got.bytes < kReceiveBuffer || !may_splice) continue;
    Task<Stretch> splicing = splice(io, from, to, link, flow.bytes);
    const Stretch stretch = co_await splicing;
    may_splice = stretch != Stretch::unsupported;
    end = relay_end(stretch);
  }
  flow.end = *end;
  // The half that ends second needs no FIN of its own: the session closes right behind it.
  if (flow.end == RelayEnd::eof && !link.half_close(from)) to.shutdown_write();
  guard.passed();
  Task<> rest = owner.relay_ended(io, flow);
  if (rest) co_await rest;
}

}  // namespace farol::proxy
