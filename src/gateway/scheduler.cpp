#include "gateway/scheduler.hpp"

#include <algorithm>

namespace farol::gateway {
namespace {

constexpr unsigned kProbe = 4;  ///< chunks, to see whether a server delivers again
constexpr Duration kProbeEvery = std::chrono::milliseconds(500);
constexpr unsigned kWorthwhile = 8;  ///< fewer chunks wait until there is room for so many

/// When a server would have delivered so many chunks more.
double seconds_for(const Server& server, unsigned chunks) {
  return (server.rate.in_flight() + chunks) / server.rate.rate() + to_seconds(server.rate.rtt.least());
}

/// The transfer's servers that may be asked for chunks now.
std::vector<Server*> able(TimePoint now, const Transfer& transfer, Pool& pool) {
  std::vector<Server*> result;
  for (const auto& [id, replica] : transfer.replicas.members()) {
    Server* const server = pool.find(id);
    if (server != nullptr && server->delivers(now) && now >= replica->busy_until) result.push_back(server);
  }
  return result;
}

/// How many of `chunks` this server has room for and delivers within `seconds`.
unsigned portion(const Server& server, unsigned chunks, double seconds) {
  const unsigned room = server.rate.room();
  if (room < std::min({chunks, kWorthwhile, server.rate.window()})) return 0;
  chunks = std::min(chunks, room);
  if (seconds_for(server, chunks) <= seconds) return chunks;
  const double in_time = (seconds - to_seconds(server.rate.rtt.least())) * server.rate.rate() - server.rate.in_flight();
  return in_time < kProbe ? 0 : std::min(chunks, static_cast<unsigned>(in_time));
}

/// One that is asked nothing now, because it was silent or too slow: it may be better by now.
Server* worth_a_probe(TimePoint now, const std::vector<Server*>& servers, double deadline) {
  const auto found = std::find_if(servers.begin(), servers.end(), [&](const Server* server) {
    if (!server->asks.empty()) return false;
    return server->timeouts > 0 || (now - server->newest_at > kProbeEvery && portion(*server, kProbe, deadline) == 0);
  });
  return found == servers.end() ? nullptr : *found;
}

/// Of the servers that answer, the one that would have it first; the part is cut to what it can do.
std::optional<Question> soonest(const std::vector<Server*>& servers, const Window::Part& part, double deadline) {
  const unsigned chunks = count(part.mask);
  std::optional<Question> best;
  double least = 0;
  for (Server* const server : servers) {
    if (server->timeouts > 0) continue;
    const unsigned some = portion(*server, chunks, deadline);
    const double seconds = seconds_for(*server, some);
    // Fewer chunks come sooner: compare by what a chunk costs.
    if (some == 0 || (best && seconds * count(best->part.mask) >= least * some)) continue;
    best = {server, {part.segment, lowest(part.mask, some)}};
    least = seconds;
  }
  return best;
}

}  // namespace

Transfer* next_in_turn(const std::vector<Transfer*>& more) {
  const auto least = std::min_element(more.begin(), more.end(), [](const Transfer* a, const Transfer* b) {
    return a->in_flight < b->in_flight;
  });
  return least == more.end() ? nullptr : *least;
}

std::optional<Question> next_question(TimePoint now, const Transfer& transfer, Pool& pool, std::uint64_t ahead,
                                      unsigned budget) {
  auto part = transfer.window->first_wanted(ahead);
  if (!part) return std::nullopt;
  const std::vector<Server*> servers = able(now, transfer, pool);
  part->mask = lowest(part->mask, budget);
  double soonest_possible = 0, together = 0;
  for (const Server* server : servers) {
    if (server->timeouts > 0) continue;
    const double seconds = seconds_for(*server, count(part->mask));
    soonest_possible = soonest_possible == 0 ? seconds : std::min(soonest_possible, seconds);
    together += server->rate.rate() * kChunkSize;
  }
  const bool some_answer = together > 0;
  const double until_needed = some_answer ? static_cast<double>(transfer.window->distance(part->segment)) / together : 0;
  const double deadline = std::max(2 * soonest_possible, until_needed);
  if (Server* const server = worth_a_probe(now, servers, deadline)) {
    if (some_answer) part = transfer.window->last_wanted(ahead);
    return Question{server, {part->segment, lowest(part->mask, std::min(kProbe, budget))}};
  }
  return soonest(servers, *part, deadline);
}

std::optional<Question> next_hedge(TimePoint now, const Transfer& transfer, Pool& pool, const Ask& late,
                                   unsigned budget) {
  std::vector<Server*> servers = able(now, transfer, pool);
  std::erase_if(servers, [&](const Server* server) { return server->id == late.server; });
  const auto question =
      soonest(servers, {late.part.segment, lowest(late.pending, budget)}, to_seconds(std::chrono::hours(1)));
  if (!question) return std::nullopt;
  const Server& other = *question->server;
  const Duration patience = from_seconds(2 * seconds_for(other, count(question->part.mask))) + other.rate.rtt.timeout();
  return now - late.sent >= patience ? question : std::nullopt;
}

}  // namespace farol::gateway
