#include "gateway/fetcher.hpp"

#include <algorithm>
#include <limits>

#include "gateway/scheduler.hpp"

namespace farol::gateway {
namespace {

using namespace transfer;

constexpr std::uint64_t kLeastAhead = 512U << 10U;
constexpr unsigned kLeastBudget = 8;
constexpr Duration kHedgeLook = std::chrono::milliseconds(5);
constexpr unsigned kLeftOutAt = 2;   ///< time-outs in a row
constexpr std::size_t kMostDescribed = 20;  ///< transfers
constexpr unsigned kMostDoublings = 6;
constexpr Duration kFirstPause = std::chrono::milliseconds(100), kLongestPause = std::chrono::seconds(5);

}  // namespace

Fetcher::Fetcher(const Options& options)
    : options_(options), pool_(options.pool), next_request_(options.first_request) {}

void Fetcher::add_server(TimePoint now, ServerId id, std::string name, const Address& address, Duration rtt) {
  Server& server = pool_.add(now, id, std::move(name), address);
  server.rate.rtt.add(now, rtt);
}

void Fetcher::remove_server(TimePoint now, ServerId id) {
  Server* const server = pool_.find(id);
  if (server == nullptr) return;
  Asks::Returns returns;
  asks_.give_up(now, *server, returns);
  take_back(returns);
  for (auto& [key, transfer] : transfers_) transfer.replicas.left(id);
  pool_.remove(id);
}

void Fetcher::receive(TimePoint now, ServerId from, const Header& header, const Message& message) {
  Server* const server = pool_.find(from);
  if (server == nullptr) {
    ++unexpected_;
    return;
  }
  if (pool_.heard(now, *server)) tell(Event::Kind::back, *server);
  if (const auto* chunk = std::get_if<FileChunk>(&message))
    on(now, *server, header.request, *chunk);
  else if (const auto* info = std::get_if<FileInfo>(&message))
    on(now, *server, header.request, *info);
  else if (const auto* refusal = std::get_if<FileNotFound>(&message))
    on(now, *server, header.request, *refusal);
  else if (const auto* beat = std::get_if<Heartbeat>(&message))
    outgoing_.push_back({from, header.request, HeartbeatAck{beat->sent_us}});
  else
    ++unexpected_;
}

void Fetcher::on(TimePoint now, Server& server, RequestId request, const FileChunk& chunk) {
  Ask* const ask = asks_.find(request, server.id);
  if (ask == nullptr || chunk.chunk / kSegmentChunks != ask->part.segment) {
    ++unexpected_;
    return;
  }
  if (server.timeouts >= Server::kWorthTelling) tell(Event::Kind::delivers_again, server);
  const auto bit = static_cast<unsigned>(chunk.chunk % kSegmentChunks);
  const TransferId id = ask->transfer;
  Asks::Returns returns;
  const bool owed = asks_.delivered(now, server, *ask, bit, returns);
  take_back(returns);
  const auto found = transfers_.find(id);
  if (found == transfers_.end() || !found->second.window) return;
  Transfer& transfer = found->second;
  if (owed) --transfer.in_flight;
  switch (transfer.window->store(chunk.chunk, chunk.data)) {
    case Window::Stored::duplicate:
      ++server.duplicates;
      return;
    case Window::Stored::malformed:
      ++unexpected_;
      if (owed) transfer.window->returned({chunk.chunk / kSegmentChunks, std::uint64_t{1} << bit});
      transfer.replicas.refused(now, server.id, NotFoundReason::io_error);
      return;
    case Window::Stored::fresh:
      break;
  }
  transfer.progress = now;
  transfer.servers.insert(server.id);
  if (transfer.starved && transfer.window->head()->mask == 0) news(transfer);
}

void Fetcher::on(TimePoint now, Server& server, RequestId request, const FileInfo& info) {
  const auto stat = answered_stat(now, server, request);
  if (!stat) return;
  const auto found = transfers_.find(stat->transfer);
  if (found != transfers_.end()) found->second.replicas.answered(now, server.id, info);
}

void Fetcher::on(TimePoint now, Server& server, RequestId request, const FileNotFound& refusal) {
  TransferId id = 0;
  if (Ask* const ask = asks_.find(request, server.id)) {
    id = ask->transfer;
    Asks::Returns returns;
    asks_.refused(now, server, *ask, returns);
    take_back(returns);
  } else if (const auto stat = answered_stat(now, server, request)) {
    id = stat->transfer;
  }
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  found->second.replicas.refused(now, server.id, refusal.reason);
  if (refusal.reason == NotFoundReason::not_found) lacking_.note(now, server.id, found->second.replicas.path());
}

std::optional<Fetcher::Stat> Fetcher::answered_stat(TimePoint now, Server& server, RequestId request) {
  const auto found = stats_.find(request);
  if (found == stats_.end() || found->second.server != server.id) {
    ++unexpected_;
    return std::nullopt;
  }
  const Stat stat = found->second;
  stats_.erase(found);
  // It may have hashed the file first: only a short time says something about the way.
  if (now - stat.sent < server.rate.rtt.smoothed()) server.rate.rtt.add(now, now - stat.sent);
  return stat;
}

/// What was given up is wanted again.
void Fetcher::take_back(const Asks::Returns& returns) {
  for (const Asks::Returned& returned : returns) {
    const auto found = transfers_.find(returned.transfer);
    if (found == transfers_.end() || !found->second.window) continue;
    const unsigned chunks = count(returned.part.mask);
    found->second.window->returned(returned.part);
    found->second.in_flight -= chunks;
    found->second.asked_again += chunks;
  }
}

void Fetcher::advance(TimePoint now) {
  asks_.forget(now);
  advance_servers(now);
  for (auto& [id, transfer] : transfers_) {
    if (transfer.failure || (transfer.window && transfer.window->finished())) continue;
    advance_lookup(now, transfer);
    advance_deadlines(now, transfer);
  }
  schedule(now);
}

void Fetcher::advance_servers(TimePoint now) {
  Asks::Returns returns;
  for (const Pool::Change& change : pool_.advance(now)) {
    Server* const server = pool_.find(change.server);
    if (server == nullptr) {
      for (auto& [id, transfer] : transfers_) transfer.replicas.left(change.server);
      events_.push_back({Event::Kind::forgotten, change.server, {}, {}});
      continue;
    }
    asks_.give_up(now, *server, returns);
    tell(change.state == ServerState::down ? Event::Kind::down : Event::Kind::suspect, *server);
  }
  for (auto& [id, server] : pool_.servers()) {
    if (!asks_.advance(now, server, returns) || server.timeouts < kLeftOutAt) continue;
    if (server.timeouts == Server::kWorthTelling) tell(Event::Kind::left_out, server);
    server.rate.collapse();
    server.left_out_until =
        now + std::min(kFirstPause * (1 << std::min(server.timeouts - kLeftOutAt, kMostDoublings)), kLongestPause);
  }
  take_back(returns);
}

void Fetcher::advance_lookup(TimePoint now, Transfer& transfer) {
  for (const auto& [server, tag] : transfer.replicas.questions(now, pool_, lacking_)) {
    const RequestId id = next_request_++;
    stats_.insert_or_assign(id, Stat{server, transfer.id, now});
    outgoing_.push_back(
        {server, id, RequestFile{.mode = RequestMode::stat, .tag = tag, .path = transfer.replicas.path()}});
  }
  const bool known = transfer.replicas.version().has_value();
  if (const auto failure = transfer.replicas.conclude(now, pool_)) return fail(transfer, *failure);
  if (transfer.replicas.mixed()) return fail(transfer, Failure::version_changed);
  if (!known && transfer.replicas.version()) news(transfer);
}

void Fetcher::advance_deadlines(TimePoint now, Transfer& transfer) {
  const bool looking = !transfer.replicas.version();
  if (looking && now >= transfer.progress + options_.lookup_timeout) fail(transfer, Failure::no_answer);
  if (transfer.running() && transfer.starved && now >= transfer.progress + options_.stall_timeout)
    fail(transfer, Failure::no_answer);
}

void Fetcher::schedule(TimePoint now) {
  std::vector<Transfer*> more;
  for (auto& [id, transfer] : transfers_)
    if (transfer.running()) more.push_back(&transfer);
  const std::vector<Transfer*> running = more;
  while (Transfer* const next = next_in_turn(more)) {
    if (budget() < kLeastBudget) break;
    if (const auto question = next_question(now, *next, pool_, ahead(), budget())) {
      ask(now, *next, *question->server, question->part);
      continue;
    }
    next->held_back = !next->window->first_wanted(ahead());
    std::erase(more, next);
  }
  for (Transfer* const transfer : running) hedge(now, *transfer);
  for (auto& [id, server] : pool_.servers())
    if (server.rate.room() >= kLeastBudget) server.rate.not_used_up();
}

/// The reader waits for a segment whose server is late: another one is asked too.
void Fetcher::hedge(TimePoint now, Transfer& transfer) {
  if (!transfer.starved || transfer.window->head()->mask == 0) return;
  const std::uint64_t head = transfer.window->head()->segment;
  for (auto& [id, server] : pool_.servers()) {
    for (const RequestId request : server.asks) {
      Ask& late = *asks_.find(request, id);
      if (late.transfer != transfer.id || late.part.segment != head || late.hedged) continue;
      const auto question = next_hedge(now, transfer, pool_, late, budget());
      if (!question) continue;
      late.hedged = true;
      transfer.asked_again += count(question->part.mask);
      return ask(now, transfer, *question->server, question->part);
    }
  }
}

void Fetcher::ask(TimePoint now, Transfer& transfer, Server& server, const Window::Part& part) {
  const RequestId id = next_request_++;
  asks_.add(now, server, transfer.id, part, id);
  transfer.window->asked(part);
  transfer.in_flight += count(part.mask);
  outgoing_.push_back({server.id, id,
                       RequestFile{.mode = RequestMode::data,
                                   .chunk_size = kChunkSize,
                                   .first_chunk = part.segment * kSegmentChunks,
                                   .mask = part.mask,
                                   .tag = tag_of(transfer.replicas.find(server.id)->info),
                                   .path = transfer.replicas.path()}});
}

TimePoint Fetcher::next_deadline(TimePoint now) const {
  TimePoint next = pool_.next_deadline();
  const auto consider = [&](TimePoint when) {
    if (when > now) next = std::min(next, when);
  };
  for (const auto& [id, server] : pool_.servers()) {
    next = std::min(next, asks_.next_deadline(server));
    consider(server.left_out_until);
  }
  for (const auto& [id, transfer] : transfers_) {
    if (transfer.failure || (transfer.window && transfer.window->finished())) continue;
    next = std::min(next, transfer.replicas.next_deadline(now, pool_));
    if (!transfer.replicas.version()) next = std::min(next, transfer.progress + options_.lookup_timeout);
    if (!transfer.running() || !transfer.starved) continue;
    next = std::min(next, transfer.progress + options_.stall_timeout);
    for (const auto& [server, replica] : transfer.replicas.members()) consider(replica->busy_until);
    if (transfer.in_flight > 0) next = std::min(next, now + kHedgeLook);
  }
  return next;
}

TransferId Fetcher::open(TimePoint now, std::string path, Waiter& waiter) {
  const TransferId id = next_transfer_++;
  transfers_.try_emplace(id, id, std::move(path), waiter, now);
  return id;
}

void Fetcher::finish(TransferId id) {
  transfers_.erase(id);
  std::erase_if(stats_, [id](const auto& entry) { return entry.second.transfer == id; });
}

Fetcher::Look Fetcher::look(TransferId id) {
  Transfer& transfer = transfers_.at(id);
  Look look{transfer.replicas.version(), transfer.failure};
  transfer.starved = !look.version && !look.failure;
  return look;
}

void Fetcher::fetch(TimePoint now, TransferId id, std::uint64_t first, std::uint64_t end) {
  Transfer& transfer = transfers_.at(id);
  transfer.window.emplace(first, end, transfer.replicas.version()->size);
  transfer.first = first;
  transfer.progress = now;
}

Fetcher::Taken Fetcher::take(TimePoint now, TransferId id, SegmentBuffer used) {
  Transfer& transfer = transfers_.at(id);
  Window& window = *transfer.window;
  window.recycle(std::move(used));
  Taken taken;
  // After a failure nothing is given away any more, for it may be that what is here is a mixture.
  if (transfer.failure)
    taken.failure = transfer.failure;
  else
    taken.piece = window.take();
  const bool nothing = !taken.piece && !taken.failure;
  if (nothing && !transfer.starved) transfer.progress = now;
  transfer.starved = nothing;
  taken.more_to_ask = taken.piece && std::exchange(transfer.held_back, false);
  return taken;
}

const Transfer* Fetcher::find(TransferId id) const {
  const auto found = transfers_.find(id);
  return found == transfers_.end() ? nullptr : &found->second;
}

void Fetcher::describe(TimePoint now, PoolStatus& status) const {
  for (const auto& [id, server] : pool_.servers())
    status.servers.push_back({server.name, server.address, server.state, !server.delivers(now), server.undelivered(),
                              now - server.heard, server.rate.rtt.smoothed(), server.rate.rate() * kChunkSize,
                              server.rate.in_flight(), server.rate.window(), server.chunks, server.lost,
                              server.duplicates});
  status.ready = pool_.any_up();
  status.transfers = transfers_.size();
  status.transfers_total = next_transfer_ - 1;
  for (auto at = transfers_.begin(); at != transfers_.end() && status.longest.size() < kMostDescribed; ++at)
    status.longest.push_back(at->second.describe(now));
  for (std::size_t i = 0; i < failed_.size(); ++i)
    status.failed.push_back({reason_of(static_cast<Failure>(i)), failed_[i]});
  status.chunk_rtt = asks_.round_trips();
}

void Fetcher::fail_all() {
  for (auto& [id, transfer] : transfers_)
    if (!transfer.failure) fail(transfer, Failure::no_server);
}

void Fetcher::fail(Transfer& transfer, Failure failure) {
  transfer.failure = failure;
  ++failed_[static_cast<std::size_t>(failure)];
  news(transfer);
}

void Fetcher::news(Transfer& transfer) {
  if (std::exchange(transfer.starved, false)) transfer.waiter->ring();
}

void Fetcher::tell(Event::Kind kind, const Server& server) {
  events_.push_back({kind, server.id, server.name, server.address});
}

/// Many transfers share what memory there is for reading ahead.
std::uint64_t Fetcher::ahead() const {
  return std::clamp<std::uint64_t>(options_.read_ahead_in_all / std::max<std::size_t>(transfers_.size(), 1), kLeastAhead,
                                   options_.read_ahead);
}

/// The chunks that the receive buffer still has room for.
unsigned Fetcher::budget() const {
  unsigned in_flight = 0;
  for (const auto& [id, server] : pool_.servers()) in_flight += server.rate.in_flight();
  return options_.pool.max_in_flight - std::min(in_flight, options_.pool.max_in_flight);
}

}  // namespace farol::gateway
