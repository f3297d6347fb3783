#include "proxy/session.hpp"

#include <algorithm>
#include <exception>

#include "proxy/source_hash.hpp"

namespace farol::proxy {
namespace {

/// How long a reset waits for the bytes before it.
constexpr auto kResetGrace = std::chrono::milliseconds(200);

}  // namespace

Session::Session(Io& io, Accepted& client, const SessionContext& context)
    : io_(io),
      context_(context),
      peer_(client.peer),
      pool_(*context.pools[client.listener]),
      started_(Clock::now()),
      link_(io, std::move(client.socket), context.limits) {}

Task<> Session::serve(Io& io, Accepted client, const SessionContext& context) {
  Session self(io, client, context);
  const Supervision supervision(io, self.link_);
  std::optional<Lease> lease;
  {
    Task<> connecting = self.connect(lease);
    co_await connecting;
  }
  if (lease) {
    self.lease_ = &*lease;
    self.link_.start(lease->meter());
    Spawned back;
    const auto backward = [&self](Io& other) {
      return relay(other, self.link_.server(), self.link_.client(), self.link_, self.out_, self);
    };
    if (io.spawn(back, backward)) {
      std::exception_ptr failure;
      try {
        Task<> forward = relay(io, self.link_.client(), self.link_.server(), self.link_, self.in_, self);
        co_await forward;
      } catch (...) {
        failure = std::current_exception();
        self.link_.cut(false);
      }
      co_await io.join(back);  // in any case: it uses what lives here
      if (failure) std::rethrow_exception(failure);
      if (self.must_settle()) {
        Task<> settling = self.delivered(io, self.link_.client(), self.link_.fin_deadline(Clock::now()));
        co_await settling;
      }
    } else {
      self.refused_as_ = "RC";
      context.counters.reject(Rejection::no_thread);
    }
  }
  context.counters.bytes(self.in_.bytes, self.out_.bytes);
  self.log_end(lease);
}

Task<> Session::connect(std::optional<Lease>& chosen) {
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
      refused_as_ = nullptr;
      chosen.emplace(std::move(*lease));
      chosen->meter().connected(connected);
      co_return;
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
}

Task<> Session::relay_ended(Io& io, const Flow& flow) {
  const bool from_client = &flow == &in_;
  if (!from_client) judge_server();
  if (flow.end == RelayEnd::source_failed) return from_client ? reset_server(io) : end_client(io);
  if (flow.end == RelayEnd::sink_failed && !from_client) return reset_server(io);
  // If the server takes no more, its side ends by itself: the other relay still delivers what the server said.
  return {};
}

/// The server reset: the client gets all it said, then a FIN, and only then do we stop listening to it.
Task<> Session::end_client(Io& io) {
  link_.client().shutdown_write();
  Task<> waiting = delivered(io, link_.client(), link_.fin_deadline(Clock::now()));
  co_await waiting;
  link_.finish(false);
}

/// A server that ends the connection before its first byte, while the client is still there, does not do its work.
void Session::judge_server() const {
  const bool ended_it = out_.end != RelayEnd::sink_failed && link_.end() == Link::End::open && !link_.client_closed();
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
bool Session::must_settle() const {
  return in_.end == RelayEnd::sink_failed && out_.end == RelayEnd::eof;
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
  if (in_.end == RelayEnd::source_failed || out_.end == RelayEnd::sink_failed) return "CD";
  if (out_.end == RelayEnd::source_failed || in_.end == RelayEnd::sink_failed) return "SD";
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
                                   {"bytes_in", in_.bytes.load()},
                                   {"bytes_out", out_.bytes.load()},
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
  return Session::serve(io, std::move(client), context);
}

}  // namespace farol::proxy
