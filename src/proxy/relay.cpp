#include "proxy/relay.hpp"

#include <cerrno>
#include <optional>
#include <span>
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

Channel& source(Link& link, const Flow& flow) { return link.channel(flow.from); }
Channel& sink(Link& link, const Flow& flow) { return flow.from == Link::Side::client ? link.server() : link.client(); }

/// Takes a pipe's bytes out by copying, for a sink that refuses to be spliced to.
class CopiedOut {
 public:
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  IoResult write_to(Channel& to, Pipe& pipe) {
    if (rest_.empty()) {
      buffer_.resize(kReceiveBuffer);
      rest_ = pipe.read(buffer_);
    }
    if (rest_.empty()) return {Status::error, 0, EIO};
    const IoResult sent = to.write(rest_);
    if (sent.status == Status::ok) rest_ = rest_.subspan(sent.bytes);
    return sent;
  }

 private:
  std::vector<std::byte> buffer_;
  std::span<const std::byte> rest_;
};

/// Empties the pipe into the sink. False when the sink takes no more.
Task<bool> drain(Pipe& pipe, Link& link, Flow& flow) {
  Channel& to = sink(link, flow);
  CopiedOut copied;
  while (pipe.content > 0 || !copied.empty()) {
    if (link.end() != Link::End::open) co_return false;
    const IoResult moved = flow.may_splice ? to.write_from(pipe) : copied.write_to(to, pipe);
    if (moved.status == Status::ok) {
      flow.bytes.fetch_add(moved.bytes, std::memory_order_relaxed);
      link.touch();
    } else if (moved.status == Status::again) {
      const Wait wait = co_await to.writable();
      if (wait == Wait::cut) link.cut(false);
    } else if (flow.may_splice && moved.unsupported()) {
      flow.may_splice = false;
    } else {
      co_return false;
    }
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

/// Splices until the end, or until the stream goes quiet; without a pipe to have that is at once, and where splicing is
/// refused it is for good. The pipe is empty before each turn, so "again" can only mean that the source is drained; a
/// turn that moved less than the pipe holds does not (a pipe may also run out of slots). No turn begins before there is
/// input: a pipe must not be held by a blocked read.
Task<> splice(Io& io, Link& link, Flow& flow) {
  BorrowedPipe borrowed(io.pipes());
  if (!borrowed) co_return;
  Pipe& pipe = *borrowed;
  Channel& from = source(link, flow);
  bool source_drained = false;
  for (int small_turns = 0; small_turns < kSmallTurns && flow.may_splice && !flow.end;) {
    const TimePoint quiet = Clock::now() + kQuiet;
    WaitFor input = source_drained ? from.readable(quiet) : from.more(quiet);
    const Wait wait = co_await input;
    if (wait == Wait::timeout) co_return;
    if (wait == Wait::cut) co_return link.cut(false);  // the engine: it says so to who waits before it cuts the session
    const IoResult got = from.read_into(pipe);
    flow.may_splice = !got.unsupported();
    if (!flow.may_splice) co_return;
    if (got.status == Status::eof) flow.end = RelayEnd::eof;
    if (got.status == Status::error) flow.end = RelayEnd::source_failed;
    source_drained = got.status == Status::again;
    if (link.end() != Link::End::open) flow.end = RelayEnd::sink_failed;
    if (flow.end || got.status != Status::ok) continue;
    link.touch(flow.from);
    Task<bool> draining = drain(pipe, link, flow);
    const bool drained = co_await draining;
    if (!drained) flow.end = RelayEnd::sink_failed;
    small_turns = got.bytes < kSmall ? small_turns + 1 : 0;
  }
}

}  // namespace

/// Two of its frames are most of what an idle session costs: what can be looked up is not kept in a variable.
Task<> relay(Io& io, Relayed& session, Flow& flow) {
  Task<> step;
  try {
    Transfer data(io);
    while (!flow.end) {
      co_await data.receive(source(session.link, flow));
      if (data.outcome.status == Status::eof) flow.end = RelayEnd::eof;
      if (data.outcome.status == Status::error) flow.end = RelayEnd::source_failed;
      if (session.link.end() != Link::End::open) flow.end = RelayEnd::sink_failed;
      if (!flow.end) session.link.touch(flow.from);
      const bool filled = data.outcome.bytes == kReceiveBuffer;
      while (!flow.end && !data.empty()) {
        co_await data.send(sink(session.link, flow));
        if (data.outcome.status == Status::error || session.link.end() != Link::End::open)
          flow.end = RelayEnd::sink_failed;
        flow.bytes.fetch_add(data.outcome.bytes, std::memory_order_relaxed);
        session.link.touch();  // again: it may have taken long
      }
      if (flow.end || !filled || !flow.may_splice) continue;
      step = splice(io, session.link, flow);
      co_await step;
      step = {};
    }
    if (session.link.end() != Link::End::open) sink(session.link, flow).give_up_writing();
    // The half that ends second needs no FIN of its own: the session closes right behind it.
    if (flow.end == RelayEnd::eof && !session.link.half_close(flow.from)) sink(session.link, flow).shutdown_write();
    step = session.relay_ended(io, flow);
    if (step) co_await step;
  } catch (...) {              // no memory
    session.link.cut(false);  // so that the other relay does not wait for this one
    throw;
  }
}

}  // namespace farol::proxy
