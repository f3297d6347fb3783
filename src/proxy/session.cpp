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
    : Relayed(io, std::move(client.socket), context.limits),
      context_(context),
      client_(client),
      started_(Clock::now()) {}

Task<> Session::serve(Io& io, Accepted client, const SessionContext& context) {
  Session self(io, client, context);
  const Supervision supervision(io, self.link);
  Task<> step = self.connect(io);
  co_await step;
  if (self.lease_) {
    Spawned back;
    if (io.spawn(back, [&self](Io& other) { return relay(other, self, self.out_); })) {
      std::exception_ptr failure;
      try {
        step = relay(io, self, self.in_);
        co_await step;
      } catch (...) {
        failure = std::current_exception();
      }
      co_await io.join(back);  // in any case: it uses what lives here
      if (failure) std::rethrow_exception(failure);
      if (self.must_settle()) {
        step = self.delivered(io, self.link.client(), self.link.fin_deadline(Clock::now()));
        co_await step;
      }
    } else {
      self.refused_as_ = "RC";
      context.counters.reject(Rejection::no_thread);
    }
  }
  context.counters.bytes(self.in_.bytes, self.out_.bytes);
  self.log_end();
}

Task<> Session::connect(Io& io) {
  Pool& pool = *context_.pools[client_.listener];
  std::vector<std::uint64_t> tried;
  std::vector<Explained> candidates;
  bool no_resources = false;
  const bool explain = context_.log.enabled(LogLevel::debug);
  const std::uint64_t client = source_hash(client_.peer);
  refused_as_ = "SC";
  for (int attempt = 0; attempt <= context_.retries; ++attempt) {
    const TimePoint now = Clock::now();
    std::optional<Lease> lease = context_.table.acquire(pool, {tried, now, client, explain ? &candidates : nullptr});
    if (!lease) break;
    log_candidates(candidates);
    retries_ = attempt;
    const TimePoint deadline = now + context_.connect_timeout;
    int error = 0;
    Fd socket = io.open_stream(lease->address().family(), deadline, error);
    if (!socket) {
      no_resources = true;
      refused_as_ = "RC";
      break;
    }
    link.open_server(std::move(socket));
    if (link.end() != Link::End::open) break;
    Task<ConnectResult> connecting = connect_stream(link.server(), lease->address(), deadline);
    const ConnectResult result = co_await connecting;
    if (result == ConnectResult::connected) {
      refused_as_ = nullptr;
      lease_.emplace(std::move(*lease));
      lease_->meter().connected(Clock::now());
      link.start(lease_->meter());
      co_return;
    }
    link.close_server();
    if (link.end() != Link::End::open) break;  // not the back-end's fault
    if (result == ConnectResult::no_resources) {
      no_resources = true;
      refused_as_ = "RC";  // ours (no port, no memory), not the back-end's
      break;
    }
    refused_as_ = result == ConnectResult::timed_out ? "sC" : "SC";
    lease->connect_failed(Clock::now());
    tried.push_back(lease->id());
    context_.log.warn("connect failed", {{"client", client_.peer.text()},
                                         {"backend", lease->address().text()},
                                         {"reason", result == ConnectResult::timed_out ? "timeout" : "refused"}});
  }
  if (link.end() != Link::End::open)
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
  link.client().shutdown_write();
  Task<> waiting = delivered(io, link.client(), link.fin_deadline(Clock::now()));
  co_await waiting;
  link.finish(false);
}

/// A server that ends the connection before its first byte, while the client is still there, does not do its work.
void Session::judge_server() const {
  const bool ended_it = out_.end != RelayEnd::sink_failed && link.end() == Link::End::open && !link.client_closed();
  if (ended_it && lease_->meter().unanswered()) lease_->closed_early(Clock::now());
}

/// The client reset: the server gets what came before, then a reset too.
Task<> Session::reset_server(Io& io) {
  Task<> waiting = delivered(io, link.server(), Clock::now() + kResetGrace);
  co_await waiting;
  link.finish(true);
}

/// Closing a socket with unread input resets it, and the reset would overtake our last bytes to a client that is still
/// sending to a server that no longer listens: let them arrive first.
bool Session::must_settle() const {
  return in_.end == RelayEnd::sink_failed && out_.end == RelayEnd::eof;
}

/// Waits until the peer has acknowledged everything, the session is cut, or `deadline`.
Task<> Session::delivered(Io& io, Channel& channel, TimePoint deadline) {
  Duration pause = std::chrono::milliseconds(1);
  while (channel.unacknowledged() > 0 && link.end() == Link::End::open) {
    const TimePoint now = Clock::now();
    if (now >= deadline) co_return;
    const Wait wait = co_await io.sleep(std::min(now + pause, deadline));
    if (wait == Wait::cut) co_return;
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(50));
  }
}

std::string Session::cause() const {
  if (refused_as_ != nullptr) return refused_as_;
  switch (link.end()) {
    case Link::End::timed_out: return "cD";
    case Link::End::server_gone: return "sD";
    case Link::End::too_old: return "PD";
    case Link::End::cut: return "KD";
    case Link::End::open: break;
  }
  if (in_.end == RelayEnd::source_failed || out_.end == RelayEnd::sink_failed) return "CD";
  if (out_.end == RelayEnd::source_failed || in_.end == RelayEnd::sink_failed) return "SD";
  return "--";
}

void Session::log_end() const {
  if (!context_.log.enabled(LogLevel::info)) return;
  const auto score = [](double value) { return value == kNotNow ? "-" : fmt::format("{:.3f}", value); };
  const std::string backend = lease_ ? lease_->address().text() : "<NOSRV>";
  context_.log.info("connection", {{"client", client_.peer.text()},
                                   {"backend", backend},
                                   {"score", score(lease_ ? lease_->score : kNotNow)},
                                   {"runner_up", score(lease_ ? lease_->runner_up : kNotNow)},
                                   {"connect_ms", lease_ ? to_ms(lease_->meter().connect_time()) : 0, 1},
                                   {"duration_ms", to_ms(Clock::now() - started_), 0},
                                   {"bytes_in", in_.bytes.load()},
                                   {"bytes_out", out_.bytes.load()},
                                   {"retries", retries_},
                                   {"cause", cause()}});
}

void Session::log_candidates(const std::vector<Explained>& candidates) const {
  for (const Explained& candidate : candidates)
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
