#include "proxy/session.hpp"

#include <algorithm>
#include <exception>

#include "proxy/source_hash.hpp"

namespace farol::proxy {
namespace {

/// How long a reset waits for the bytes before it.
constexpr auto kResetGrace = std::chrono::milliseconds(200);

/// Ends the session when a relay leaves by an exception (no memory), so that the other does not wait for it.
class CutOnFailure {
 public:
  explicit CutOnFailure(Link& link) : link_(link) {}
  CutOnFailure(const CutOnFailure&) = delete;
  CutOnFailure& operator=(const CutOnFailure&) = delete;
  ~CutOnFailure() {
    if (!passed_) link_.cut(false);
  }
  void passed() { passed_ = true; }

 private:
  Link& link_;
  bool passed_ = false;
};

}  // namespace

Session::Session(Io& io, Accepted client, const SessionContext& context)
    : io_(io),
      context_(context),
      peer_(client.peer),
      pool_(*context.pools[client.listener]),
      started_(Clock::now()),
      link_(io, std::move(client.socket), context.limits) {}

Task<> Session::run() {
  const Supervision supervision(io_, link_);
  Task<std::optional<Lease>> connecting = connect();
  std::optional<Lease> lease = co_await connecting;
  if (lease) {
    lease_ = &*lease;
    link_.start(lease->meter());
    Spawned back;
    if (io_.spawn(back, [this](Io& other) { return backward(other); })) {
      std::exception_ptr failure;
      try {
        Task<> there = forward(io_);
        co_await there;
      } catch (...) {
        failure = std::current_exception();
      }
      co_await io_.join(back);  // in any case: it uses what lives here
      if (failure) std::rethrow_exception(failure);
      Task<> settling = settle();
      co_await settling;
    } else {
      refused_as_ = "RC";
      context_.counters.reject(Rejection::no_thread);
    }
  }
  context_.counters.bytes(bytes_in_, bytes_out_);
  log_end(lease);
}

Task<std::optional<Lease>> Session::connect() {
  std::vector<std::uint64_t> tried;
  bool no_resources = false;
  const bool explain = context_.log.enabled(LogLevel::debug);
  const std::uint64_t client = source_hash(peer_);
  refused_as_ = "SC";
  for (int attempt = 0; attempt <= context_.retries; ++attempt) {
    const TimePoint now = Clock::now();
    std::optional<Lease> lease = context_.table.acquire(pool_, {tried, now, client, explain});
    if (!lease) break;
    if (explain) log_candidates(*lease);
    retries_ = attempt;
    const TimePoint deadline = now + context_.connect_timeout;
    int error = 0;
    Fd socket = io_.open_stream(lease->address.family(), deadline, error);
    if (!socket) {
      no_resources = true;
      refused_as_ = "RC";
      break;
    }
    link_.open_server(std::move(socket));
    if (link_.end() != Link::End::open) break;
    Task<ConnectResult> connecting = connect_stream(link_.server(), lease->address, deadline);
    const ConnectResult result = co_await connecting;
    if (result == ConnectResult::connected) {
      const TimePoint connected = Clock::now();
      connect_time_ = connected - now;
      lease->meter().connected(connected);
      refused_as_ = nullptr;
      co_return lease;
    }
    link_.close_server();
    if (link_.end() != Link::End::open) break;  // not the back-end's fault
    if (result == ConnectResult::no_resources) {
      no_resources = true;
      refused_as_ = "RC";  // ours (no port, no memory), not the back-end's
      break;
    }
    refused_as_ = result == ConnectResult::timed_out ? "sC" : "SC";
    lease->connect_failed(Clock::now());
    tried.push_back(lease->id);
    context_.log.warn("connect failed", {{"client", peer_.text()},
                                         {"backend", lease->address.text()},
                                         {"reason", result == ConnectResult::timed_out ? "timeout" : "refused"}});
  }
  if (link_.end() != Link::End::open)
    refused_as_ = "KC";
  else
    context_.counters.reject(no_resources      ? Rejection::no_resources
                             : tried.empty() ? Rejection::no_backend
                                               : Rejection::connect_failed);
  co_return std::nullopt;
}

Task<> Session::forward(Io& io) {
  CutOnFailure guard(link_);
  Task<RelayEnd> relaying = relay(io, link_.client(), link_.server(), link_, bytes_in_);
  forward_end_ = co_await relaying;
  guard.passed();
  // If the sink failed, the server's side ends by itself: the other relay still delivers what the server said.
  if (forward_end_ != RelayEnd::source_failed) co_return;
  Task<> resetting = reset_server(io);
  co_await resetting;
}

Task<> Session::backward(Io& io) {
  CutOnFailure guard(link_);
  Task<RelayEnd> relaying = relay(io, link_.server(), link_.client(), link_, bytes_out_);
  backward_end_ = co_await relaying;
  guard.passed();
  judge_server();
  if (backward_end_ == RelayEnd::source_failed) {
    // The server reset: the client gets all it said, then a FIN, and only then do we stop listening to it.
    link_.client().shutdown_write();
    Task<> waiting = delivered(io, link_.client(), link_.fin_deadline(Clock::now()));
    co_await waiting;
    link_.finish(false);
  } else if (backward_end_ == RelayEnd::sink_failed) {
    Task<> resetting = reset_server(io);
    co_await resetting;
  }
}

/// A server that ends the connection before its first byte, while the client is still there, does not do its work.
void Session::judge_server() const {
  const bool ended_it = backward_end_ != RelayEnd::sink_failed && link_.end() == Link::End::open &&
                        !link_.client_closed();
  if (ended_it && lease_->meter().unanswered()) lease_->closed_early(Clock::now());
}

/// The client reset: the server gets what came before, then a reset too.
Task<> Session::reset_server(Io& io) {
  Task<> waiting = delivered(io, link_.server(), Clock::now() + kResetGrace);
  co_await waiting;
  link_.finish(true);
}

/// Closing a socket with unread input resets it, and the reset would overtake our last bytes to a client that is still
/// sending to a server that no longer listens: let them arrive first.
Task<> Session::settle() {
  if (forward_end_ != RelayEnd::sink_failed || backward_end_ != RelayEnd::eof) co_return;
  Task<> waiting = delivered(io_, link_.client(), link_.fin_deadline(Clock::now()));
  co_await waiting;
}

/// Waits until the peer has acknowledged everything, the session is cut, or `deadline`.
Task<> Session::delivered(Io& io, Channel& channel, TimePoint deadline) {
  Duration pause = std::chrono::milliseconds(1);
  while (channel.unacknowledged() > 0 && link_.end() == Link::End::open) {
    const TimePoint now = Clock::now();
    if (now >= deadline) co_return;
    const Wait wait = co_await io.sleep(std::min(now + pause, deadline));
    if (wait == Wait::cut) co_return;
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(50));
  }
}

std::string Session::cause() const {
  if (refused_as_ != nullptr) return refused_as_;
  if (link_.end() == Link::End::timed_out) return "cD";
  if (link_.end() == Link::End::cut) return "KD";
  if (forward_end_ == RelayEnd::source_failed || backward_end_ == RelayEnd::sink_failed) return "CD";
  if (backward_end_ == RelayEnd::source_failed || forward_end_ == RelayEnd::sink_failed) return "SD";
  return "--";
}

void Session::log_end(const std::optional<Lease>& lease) const {
  if (!context_.log.enabled(LogLevel::info)) return;
  const auto score = [](const std::optional<double>& value) { return value ? fmt::format("{:.3f}", *value) : "-"; };
  const std::string backend = lease ? lease->address.text() : "<NOSRV>";
  context_.log.info("connection", {{"client", peer_.text()},
                                   {"backend", backend},
                                   {"score", lease ? score(lease->score) : "-"},
                                   {"runner_up", lease ? score(lease->runner_up) : "-"},
                                   {"connect_ms", to_ms(connect_time_), 1},
                                   {"duration_ms", to_ms(Clock::now() - started_), 0},
                                   {"bytes_in", bytes_in_.load()},
                                   {"bytes_out", bytes_out_.load()},
                                   {"retries", retries_},
                                   {"cause", cause()}});
}

void Session::log_candidates(const Lease& lease) const {
  for (const Explained& candidate : lease.candidates)
    context_.log.debug("candidate", {{"backend", candidate.address.text()},
                                     {"score", candidate.score, 3},
                                     {"rtt_ms", candidate.rtt_ms, 1},
                                     {"tcp", candidate.tcp},
                                     {"cpu", candidate.cpu},
                                     {"mem", candidate.memory}});
}

Task<> serve_client(Io& io, Accepted client, const SessionContext& context) {
  context.counters.connection();
  Session session(io, std::move(client), context);
  Task<> running = session.run();
  co_await running;
}

}  // namespace farol::proxy
