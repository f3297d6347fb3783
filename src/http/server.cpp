#include "http/server.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <optional>
#include <utility>

#include "http/crowd.hpp"
#include "http/status_counts.hpp"

namespace farol::http {
namespace {

constexpr std::size_t kSlice = 64 * 1024;
constexpr std::size_t kLingerBytes = 256 * 1024;

Task<Response> ready(Response response) {
  co_return response;
}

/// One connection. Reads are bounded by the deadline of their wait; writes, which block the thread on the engine
/// `threads`, by expired(), which the engine asks.
class Connection final : public Supervised, private Crowd::Place {
 public:
  Connection(Io& io, Fd socket, const Responder& respond, const Limits& limits, const std::atomic<bool>* draining,
             Crowd* crowd, StatusCounts* answers)
      : Place(crowd),
        io_(io),
        channel_(io, std::move(socket)),
        respond_(respond),
        limits_(limits),
        draining_(draining),
        answers_(answers),
        parser_(limits.request) {
    enter();
  }
  ~Connection() { leave(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Task<> run();

  bool expired(TimePoint now) override {
    return now.time_since_epoch().count() >= write_deadline_.load(std::memory_order_relaxed) ||
           (idle_.load(std::memory_order_relaxed) && draining());
  }
  void cut(bool) override { channel_.shut_down(); }

 private:
  void make_room() noexcept override { channel_.shut_down(); }
  enum class Received { request, refused, nothing };

  Task<Received> receive();
  Task<bool> exchange();
  Task<bool> refuse();
  Task<Response> answer(const Request& request);
  Task<bool> send(std::string bytes);
  Task<bool> send_bytes(std::span<const std::byte> rest);
  Task<bool> stream(std::string head, BodySource& source, std::uint64_t left);
  [[nodiscard]] bool stuck(TimePoint now);
  Task<> linger();
  void count(int status) const {
    if (answers_ != nullptr) answers_->add(status);
  }
  [[nodiscard]] bool draining() const { return draining_ != nullptr && draining_->load(std::memory_order_relaxed); }
  void arm(TimePoint deadline) {
    write_deadline_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
  }

  Io& io_;
  Channel channel_;
  const Responder& respond_;
  const Limits& limits_;
  const std::atomic<bool>* const draining_;
  StatusCounts* const answers_;
  RequestParser parser_;
  bool first_ = true;
  RequestParser::Refusal refusal_;
  std::exception_ptr failure_;  ///< what the responder threw
  std::uint64_t taken_ = 0;     ///< by the peer, at the last look at a stream
  TimePoint taken_at_{};        ///< when that was last more
  std::atomic<bool> idle_{false};  ///< between two requests: nothing is owed to anybody
  std::atomic<Duration::rep> write_deadline_{kNever.time_since_epoch().count()};
};

Task<> Connection::run() {
  bool going_on = true;
  while (going_on) {
    Task<Received> receiving = receive();
    const Received received = co_await receiving;
    if (received == Received::nothing) co_return;
    Task<bool> answering = received == Received::request ? exchange() : refuse();
    going_on = co_await answering;
  }
  Task<> lingering = linger();
  co_await lingering;
  if (failure_) std::rethrow_exception(failure_);  // for the engine's log
}

Task<Connection::Received> Connection::receive() {
  RequestParser::Outcome outcome = parser_.feed({});
  bool started = parser_.started() || std::exchange(first_, false);
  TimePoint deadline = Clock::now() + (started ? limits_.header_timeout : limits_.idle_timeout);
  while (outcome == RequestParser::Outcome::need_more) {
    if (parser_.take_continue()) {
      Task<bool> sending = send("HTTP/1.1 100 Continue\r\n\r\n");
      const bool sent = co_await sending;
      if (!sent) co_return Received::nothing;
    }
    idle_.store(!started, std::memory_order_relaxed);
    const Wait wait = co_await channel_.more(deadline);
    idle_.store(false, std::memory_order_relaxed);
    if (wait == Wait::timeout && parser_.started()) {
      refusal_ = {408, "the request did not arrive in time"};
      co_return Received::refused;
    }
    if (wait != Wait::ready) co_return Received::nothing;
    const std::span<std::byte> buffer = io_.scratch();
    const IoResult got = channel_.read(buffer);
    if (got.status == IoResult::Status::again) continue;
    if (got.status != IoResult::Status::ok) co_return Received::nothing;
    outcome = parser_.feed(buffer.first(got.bytes));
    if (!started && parser_.started()) {
      started = true;
      deadline = Clock::now() + limits_.header_timeout;
    }
  }
  if (outcome == RequestParser::Outcome::request) co_return Received::request;
  refusal_ = parser_.refusal();
  co_return Received::refused;
}

/// True when the connection goes on.
Task<bool> Connection::exchange() {
  const Request request = parser_.take();
  got_on();
  Task<Response> answering = answer(request);
  const Response response = co_await answering;
  count(response.status());
  const bool keep_alive = request.keep_alive && !failure_ && !draining() && !response.endless();
  const bool head_only = request.method == "HEAD";
  std::string head = serialise(
      response, {.keep_alive = keep_alive, .head_only = head_only, .now = std::chrono::system_clock::now()});
  const bool streamed = response.source() != nullptr && response.length() > 0 && !head_only;
  Task<bool> sending = streamed ? stream(std::move(head), *response.source(), response.length()) : send(std::move(head));
  const bool sent = co_await sending;
  const bool going_on = sent && keep_alive;
  co_return going_on;
}

Task<bool> Connection::refuse() {
  count(refusal_.status);
  Task<bool> sending =
      send(serialise(plain(refusal_.status, refusal_.reason),
                     {.keep_alive = false, .head_only = false, .now = std::chrono::system_clock::now()}));
  co_await sending;
  co_return false;
}

Task<Response> Connection::answer(const Request& request) {
  std::optional<Response> response;
  try {
    Task<Response> responding = respond_(io_, request);
    response = co_await responding;
  } catch (const std::exception&) {
    failure_ = std::current_exception();
    response = plain(500, "internal error (see the log)");
  }
  co_return std::move(*response);
}

Task<bool> Connection::send(std::string bytes) {
  Task<bool> sending = send_bytes(std::as_bytes(std::span(bytes)));
  const bool sent = co_await sending;
  co_return sent;
}

/// The head waits for the first piece: a small body then leaves in one segment with it.
Task<bool> Connection::stream(std::string head, BodySource& source, std::uint64_t left) {
  taken_at_ = Clock::now();
  while (left > 0) {
    Task<std::span<const std::byte>> waiting = source.next(io_);
    std::span<const std::byte> piece = co_await waiting;
    if (piece.empty() || stuck(Clock::now())) co_return false;
    piece = piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), left)));
    left -= piece.size();
    if (!head.empty()) {
      const auto joined = piece.first(std::min(piece.size(), kSlice));
      head.append(reinterpret_cast<const char*>(joined.data()), joined.size());
      piece = piece.subspan(joined.size());
      Task<bool> beginning = send(std::exchange(head, {}));
      const bool begun = co_await beginning;
      if (!begun) co_return false;
    }
    Task<bool> sending = send_bytes(piece);
    const bool sent = co_await sending;
    if (!sent) co_return false;
  }
  co_return true;
}

/// Small pieces, seconds apart, find room in the socket's buffer for minutes after their reader has stopped, or is gone.
bool Connection::stuck(TimePoint now) {
  const std::uint64_t taken = channel_.acknowledged();
  if (taken != taken_ || channel_.unacknowledged() == 0) {
    taken_ = taken;
    taken_at_ = now;
  }
  return now - taken_at_ > limits_.write_timeout;
}

Task<bool> Connection::send_bytes(std::span<const std::byte> rest) {
  while (!rest.empty()) {
    const std::span<const std::byte> slice = rest.first(std::min(rest.size(), kSlice));
    const TimePoint deadline = Clock::now() + limits_.write_timeout;
    arm(deadline);
    Task<bool> writing = write_all(channel_, slice, deadline);
    const bool written = co_await writing;
    arm(kNever);
    if (!written) co_return false;
    rest = rest.subspan(slice.size());
    got_on();
  }
  co_return true;
}

/// Closing with bytes unread sends a reset, and a reset can take the response away from a peer that has not read it
/// yet: end our side, then read what still comes until the peer closes too (RFC 9112, 9.6).
Task<> Connection::linger() {
  channel_.shutdown_write();
  const TimePoint deadline = Clock::now() + limits_.close_timeout;
  for (std::size_t drained = 0; drained < kLingerBytes;) {
    const Wait wait = co_await channel_.more(deadline);
    if (wait != Wait::ready) co_return;
    const IoResult got = channel_.read(io_.scratch());
    if (got.status == IoResult::Status::eof || got.status == IoResult::Status::error) co_return;
    drained += got.bytes;
  }
}

}  // namespace

Responder at_once(std::function<Response(const Request&)> respond) {
  return [respond = std::move(respond)](Io&, const Request& request) { return ready(respond(request)); };
}

Task<> serve_connection(Io& io, Accepted client, const Responder& respond, Limits limits,
                        const std::atomic<bool>* draining, Crowd* crowd, StatusCounts* answers) {
  Connection connection(io, std::move(client.socket), respond, limits, draining, crowd, answers);
  const Supervision supervision(io, connection);
  Task<> running = connection.run();
  co_await running;
}

}  // namespace farol::http
