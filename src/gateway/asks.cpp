#include "gateway/asks.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace farol::gateway {
namespace {

constexpr unsigned kMostReordering = 256;
constexpr unsigned kMostDoublings = 6;
constexpr Duration kLeastWait = std::chrono::milliseconds(1);
constexpr Duration kGrace = std::chrono::seconds(2);  ///< how late a chunk may be and still be recognised
constexpr Duration kForgetEvery = std::chrono::milliseconds(500);

std::uint64_t bit_of(unsigned chunk) { return std::uint64_t{1} << chunk; }

/// The place of one of its chunks in the server's sequence.
std::uint64_t sequence_of(const Ask& ask, unsigned bit) {
  return ask.sequence + count(ask.part.mask & (bit_of(bit) - 1));
}

}  // namespace

Ask& Asks::add(TimePoint now, Server& server, TransferId transfer, const Window::Part& part, RequestId id) {
  const unsigned chunks = count(part.mask);
  Ask ask{.id = id, .server = server.id, .transfer = transfer, .part = part, .pending = part.mask,
          .sequence = server.next_sequence, .sent = now};
  server.next_sequence += chunks;
  server.asks.push_back(id);
  server.rate.sent(now, chunks);
  return asks_.insert_or_assign(id, ask).first->second;
}

Ask* Asks::find(RequestId id, ServerId server) {
  const auto found = asks_.find(id);
  return found == asks_.end() || found->second.server != server ? nullptr : &found->second;
}

bool Asks::delivered(TimePoint now, Server& server, Ask& ask, unsigned bit, Returns& returns) {
  if ((ask.part.mask & bit_of(bit)) == 0) return false;
  ++server.chunks;
  server.timeouts = 0;
  server.left_out_until = {};
  if (!std::exchange(ask.answered, true)) {
    server.rate.rtt.add(now, now - ask.sent);
    round_trips_.observe(now - ask.sent);
  }
  const std::uint64_t sequence = sequence_of(ask, bit);
  const bool owed = (ask.pending & bit_of(bit)) != 0;
  if (owed) {
    ask.pending &= ~bit_of(bit);
    server.rate.delivered(now, 1);
  } else if (ask.forget != kNever && sequence + server.reordering <= server.newest_sequence) {
    server.reordering = std::min(2 * server.reordering, kMostReordering);  // given up too early
  }
  if (sequence >= server.newest_sequence) {
    server.newest_sequence = sequence + 1;
    server.newest_at = now;
  }
  if (ask.pending == 0 && ask.forget == kNever) finish(now, server, ask);
  if (server.newest_sequence > server.reordering)
    lose_up_to(now, server, server.newest_sequence - server.reordering, returns);
  return owed;
}

/// Gives up what is owed from places before `sequence`.
void Asks::lose_up_to(TimePoint now, Server& server, std::uint64_t sequence, Returns& returns) {
  while (!server.asks.empty()) {
    Ask& ask = asks_.at(server.asks.front());
    std::uint64_t lost = 0;
    for (std::uint64_t rest = ask.pending; rest != 0; rest &= rest - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(rest));
      if (sequence_of(ask, bit) >= sequence) break;
      lost |= bit_of(bit);
    }
    if (lost == 0) return;
    lose(now, server, ask, lost, returns);
    if (ask.pending != 0) return;
  }
}

void Asks::lose(TimePoint now, Server& server, Ask& ask, std::uint64_t mask, Returns& returns) {
  const unsigned chunks = count(mask);
  server.lost += chunks;
  server.rate.lost(now, chunks);
  ask.pending &= ~mask;
  returns.push_back({ask.transfer, {ask.part.segment, mask}});
  if (ask.pending == 0) finish(now, server, ask);
}

/// Nothing is owed any more.
void Asks::finish(TimePoint now, Server& server, Ask& ask) {
  ask.forget = now + kGrace;
  const auto place = std::find(server.asks.begin(), server.asks.end(), ask.id);
  if (place != server.asks.end()) server.asks.erase(place);
}

void Asks::refused(TimePoint now, Server& server, Ask& ask, Returns& returns) {
  if (ask.pending != 0) lose(now, server, ask, ask.pending, returns);
}

void Asks::give_up(TimePoint now, Server& server, Returns& returns) {
  while (!server.asks.empty()) {
    Ask& ask = asks_.at(server.asks.front());
    lose(now, server, ask, ask.pending, returns);
  }
}

/// When chunks that a later one overtook are no longer waited for.
TimePoint Asks::reordered_until(const Server& server) const {
  if (server.asks.empty()) return kNever;
  const Ask& oldest = asks_.at(server.asks.front());
  const bool overtaken =
      sequence_of(oldest, static_cast<unsigned>(std::countr_zero(oldest.pending))) < server.newest_sequence;
  return overtaken ? server.newest_at + std::max(server.rate.rtt.smoothed() / 8, kLeastWait) : kNever;
}

/// When this server has been silent for too long.
TimePoint Asks::silent_at(const Server& server) const {
  if (server.asks.empty()) return kNever;
  const TimePoint since = std::max(asks_.at(server.asks.front()).sent, server.newest_at);
  return since + server.rate.rtt.timeout() * (1 << std::min(server.timeouts, kMostDoublings));
}

bool Asks::advance(TimePoint now, Server& server, Returns& returns) {
  if (now >= reordered_until(server)) lose_up_to(now, server, server.newest_sequence, returns);
  if (now < silent_at(server)) return false;
  give_up(now, server, returns);
  ++server.timeouts;
  return true;
}

TimePoint Asks::next_deadline(const Server& server) const {
  return std::min(reordered_until(server), silent_at(server));
}

void Asks::forget(TimePoint now) {
  if (now < next_forget_) return;
  next_forget_ = now + kForgetEvery;
  std::erase_if(asks_, [now](const auto& entry) { return entry.second.forget <= now; });
}

}  // namespace farol::gateway
