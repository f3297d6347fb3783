#include "proxy/session.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <system_error>

#include "proxy/queued.hpp"
#include "proxy/source_hash.hpp"

namespace farol::proxy {
namespace {

/// How long a reset waits for the bytes before it.
constexpr auto kResetGrace = std::chrono::milliseconds(200);

/// The end of a wait in the queue, however it comes about: what was chosen becomes the lease, and the engine supervises
/// the link again.
struct Place {
  Queued& client;
  Supervision& supervision;
  Link& link;
  BackendTable& table;
  Pool& pool;
  std::optional<Lease>& lease;

  ~Place() {
    supervision.turn_to(link);
    if (const auto choice = pool.leave(client)) lease.emplace(table, *choice, Clock::now());
  }
};

}  // namespace

enum class Session::Refusal : std::uint8_t {
  no_backend,
  refused,
  unreachable,
  timed_out,
  queue_full,
  queue_timeout,
  no_resources,  ///< ours: no port, descriptor or memory
  no_thread,
  left,        ///< the client, while it waited
  left_early,  ///< the client, while we connected for it
  cut,
};

namespace {

/// What is told of a refusal, in the order of Session::Refusal.
struct Told {
  const char* cause;  ///< in the log, as HAProxy says it
  const char* words;
  std::optional<Rejection> counted;
};
constexpr Told kTold[] = {
    {"SC", "no back-end", Rejection::no_backend},
    {"SC", "refused", Rejection::connect_failed},
    {"SC", "unreachable", Rejection::connect_failed},
    {"sC", "timeout", Rejection::connect_failed},
    {"PQ", "queue full", Rejection::queue_full},
    {"sQ", "queue time-out", Rejection::queue_timeout},
    {"RC", "no resources", Rejection::no_resources},
    {"RC", "no thread", Rejection::no_thread},
    {"CQ", "client left", std::nullopt},
    {"CC", "client left", std::nullopt},
    {"KC", "cut", std::nullopt},
};

const Told& told(auto refusal) {
  static_assert(std::size(kTold) == static_cast<std::size_t>(decltype(refusal)::cut) + 1);
  return kTold[static_cast<std::size_t>(refusal)];
}

}  // namespace

Session::Session(Io& io, Served& client)
    : Relayed(io, std::move(client.socket), client.context->limits),
      client_(client),
      started_(Clock::now()) {}

Task<> Session::serve(Io& io, Served client) {
  Session self(io, client);
  Supervision supervision(io, self.link);
  Task<> step = self.connect(io, supervision);
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
      self.refused_ = Refusal::no_thread;
      self.context().counters.reject(Rejection::no_thread, Clock::now());
    }
  }
  if (self.lease_) self.link.close_server();  // before the lease goes: its place is free when the back-end knows
  self.account();
  self.log_end();
}

Task<> Session::connect(Io& io, Supervision& supervision) {
  Pool& pool = *context().pools[client_.listener];
  std::vector<std::uint64_t> tried;
  std::vector<Explained> candidates;
  const bool explain = context().log.enabled(LogLevel::debug);
  const std::uint64_t client = source_hash(client_.peer);
  refused_ = Refusal::no_backend;
  TimePoint patience{};      // of all waits in the queue, from the first on
  TimePoint first = kNever;  // attempt
  for (int attempt = 0;; ++attempt) {
    TimePoint now = Clock::now();
    if (!context().retries.allow(attempt, now - std::min(first, now))) break;
    const bool ours = refused_ == Refusal::no_resources;  // no port: for another one there may be one
    const Request request{tried, now, client, explain ? &candidates : nullptr, ours};
    std::optional<Lease> lease = context().table.acquire(pool, request);
    if (!lease && !ours && context().queue.timeout > Duration::zero()) {
      if (patience == TimePoint{}) patience = now + context().queue.timeout;
      Task<> queued = queue(io, supervision, request, patience, lease);
      co_await queued;
      now = Clock::now();
    }
    log_candidates(candidates);
    if (!lease) break;
    retries_ = attempt;
    first = std::min(first, now);
    const TimePoint deadline = now + context().connect_timeout;
    int error = 0;
    Fd socket = io.open_stream(lease->address().family(), deadline, error);
    if (!socket) {
      refused_ = Refusal::no_resources;
      break;
    }
    link.open_server(std::move(socket));
    if (link.end() != Link::End::open) break;
    Task<ConnectResult> connecting = connect_stream(link.server(), lease->address(), deadline);
    const ConnectResult result = co_await connecting;
    if (result == ConnectResult::connected) {
      refused_.reset();
      lease_.emplace(std::move(*lease));
      lease_->connected(Clock::now());
      link.start(lease_->meter());
      co_return;
    }
    link.close_server();
    if (link.end() != Link::End::open) break;  // not the back-end's fault
    refused_ = refusal_of(result);
    tried.push_back(lease->id());
    if (refused_ == Refusal::no_resources) continue;  // nor is this
    lease->connect_failed(Clock::now());
    context().log.warn("connect failed", {{"client", client_.peer.text()},
                                         {"backend", lease->address().text()},
                                         {"reason", told(*refused_).words}});
  }
  if (link.end() != Link::End::open)  // so far only a client that left has a time-out
    refused_ = link.end() == Link::End::timed_out ? Refusal::left_early : Refusal::cut;
  if (const auto rejection = told(*refused_).counted) context().counters.reject(*rejection, Clock::now());
}

Session::Refusal Session::refusal_of(ConnectResult failed) {
  switch (failed) {
    case ConnectResult::refused: return Refusal::refused;
    case ConnectResult::timed_out: return Refusal::timed_out;
    case ConnectResult::no_resources:
    case ConnectResult::cut: return Refusal::no_resources;  // not cut by us: the engine could not wait for it
    default: return Refusal::unreachable;
  }
}

Task<> Session::queue(Io& io, Supervision& supervision, const Request& request, TimePoint deadline,
                      std::optional<Lease>& lease) {
  std::optional<Queued> self;
  try {
    self.emplace(io, link.client(), request);
  } catch (const std::system_error&) {
    refused_ = Refusal::no_resources;
    co_return;
  }
  Pool& pool = *context().pools[client_.listener];
  const Pool::Joined joined = pool.join(*self, context().queue.most, request.now);
  if (joined == Pool::Joined::full) refused_ = Refusal::queue_full;
  if (joined != Pool::Joined::waits) co_return;
  Wait wait = Wait::ready;
  {
    const Place place{*self, supervision, link, context().table, pool, lease};
    supervision.turn_to(*self);
    while (wait == Wait::ready && !self->over()) wait = co_await self->rung(deadline);
  }
  if (link.end() == Link::End::open && !self->client_gone()) {
    if (!lease) refused_ = wait == Wait::cut ? Refusal::no_resources : Refusal::queue_timeout;
    co_return;
  }
  refused_ = Refusal::left;
  lease.reset();  // for the next one
}

Task<> Session::relay_ended(Io& io, const Flow& flow) {
  const bool from_client = &flow == &in_;
  if (!from_client) judge_server();
  if (link.end() != Link::End::open) return {};  // what either side sees is settled by the cut
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

std::string_view Session::cause() const {
  if (refused_) return told(*refused_).cause;
  switch (link.end()) {
    case Link::End::timed_out: return "cD";
    case Link::End::server_gone: return "sD";
    case Link::End::too_old: return "PD";
    case Link::End::drained: return "DD";
    case Link::End::cut: return "KD";
    case Link::End::open: break;
  }
  if (in_.end == RelayEnd::source_failed || out_.end == RelayEnd::sink_failed) return "CD";
  if (out_.end == RelayEnd::source_failed || in_.end == RelayEnd::sink_failed) return "SD";
  return "--";
}

void Session::account() const {
  context().counters.bytes(in_.bytes, out_.bytes);
  context().counters.ended(cause());
  if (lease_ && !refused_) lease_->ended(in_.bytes, out_.bytes, Clock::now() - started_);
}

void Session::log_end() const {
  if (!context().log.enabled(LogLevel::info)) return;
  const auto score = [](double value) { return value == kNotNow ? "-" : fmt::format("{:.3f}", value); };
  const std::string backend = lease_ ? lease_->address().text() : "<NOSRV>";
  context().log.info("connection", {{"client", client_.peer.text()},
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
    context().log.debug("candidate", {{"backend", candidate.address.text()},
                                     {"verdict", to_string(candidate.verdict)},
                                     {"score", candidate.score, 3},
                                     {"rtt_ms", candidate.rtt_ms, 1},
                                     {"tcp", candidate.tcp},
                                     {"cpu", candidate.cpu},
                                     {"mem", candidate.memory}});
}

namespace {

/// With a part of its source's share. A coroutine of its own, so that it costs nothing where sources are not limited.
Task<> serve_share(Io& io, Served client) {
  const SourceLimit::Share share = client.context->sources->enter(client.peer);
  if (!share) {  // a log line for each would be what a flood wants
    client.context->counters.reject(Rejection::source_limit, Clock::now());
    co_return;
  }
  client.context->counters.connection();
  Task<> session = Session::serve(io, std::move(client));
  co_await session;
}

}  // namespace

Task<> serve_client(Io& io, Accepted client, ContextPointer context) {
  Served served{{std::move(client)}, std::move(context)};
  if (served.context->sources != nullptr) return serve_share(io, std::move(served));
  served.context->counters.connection();
  return Session::serve(io, std::move(served));
}

}  // namespace farol::proxy
