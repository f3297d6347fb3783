#include "proxy/membership.hpp"

#include <algorithm>

#include "proxy/backend_table_access.hpp"
#include "proxy/causes.hpp"

namespace farol::proxy {

using monitoring::DropReason;
using monitoring::Envelope;
using monitoring::ProbeResponse;

namespace {

/// What a Register says of its interval is not proved, so it never buys a row a long life.
constexpr auto kLongestInterval = std::chrono::minutes(10);

AgentPath path_of(const Envelope& from) { return {from.peer, from.local, from.interface}; }

bool same_service(const Backend& backend, const monitoring::Service& service) {
  return backend.key.address.port() == service.port && backend.key.pool == service.pool &&
         backend.agent.boot_id == service.boot_id;
}

/// A new process behind the same address, answering a probe that was meant for the old one.
bool restarted_in_place(const Backend* known, const ProbeResponse& packet) {
  return known != nullptr && known->key.address.port() == packet.service.port &&
         known->key.pool == packet.service.pool && known->is_outstanding(packet.sequence, packet.nonce);
}

/// The row that this very agent has under another address.
Backend* other_road(const BackendTable::Access& rows, const BackendKey& key, std::uint64_t boot_id) {
  for (const auto& [id, row] : rows.rows())
    if (row->source == Source::agent && row->agent.boot_id == boot_id && row->key.pool == key.pool &&
        row->key.address.port() == key.address.port() && !row->agent.leaving)
      return row.get();
  return nullptr;
}

}  // namespace

Membership::Membership(BackendTable& table, Options options, Counters& counters, const Logger& log)
    : table_(table), options_(std::move(options)), counters_(counters), log_(log) {}

void Membership::drop(DropReason reason, const Address& peer, TimePoint now) {
  counters_.drop(reason);
  strangers_.dropped(reason, peer, now);
  std::uint64_t suppressed = 0;
  if (drop_log_.allow(now, suppressed))
    log_.warn("monitoring packet dropped",
              {{"reason", to_string(reason)}, {"peer", peer.text()}, {"suppressed", suppressed}});
}

std::optional<Envelope> Membership::handle(const Envelope& received, TimePoint now) {
  if (!allowed(received.peer)) {
    drop(DropReason::not_allowed, received.peer, now);
    return std::nullopt;
  }
  if (const auto* packet = std::get_if<monitoring::Register>(&received.packet))
    return on_register(received, *packet, now);
  Verdict verdict = DropReason::direction;
  if (const auto* response = std::get_if<ProbeResponse>(&received.packet))
    verdict = on_response(received, *response, now);
  else if (const auto* goodbye = std::get_if<monitoring::Deregister>(&received.packet))
    verdict = on_deregister(received, *goodbye, now);
  if (verdict) drop(*verdict, received.peer, now);
  return std::nullopt;
}

std::optional<Envelope> Membership::on_register(const Envelope& from, const monitoring::Register& packet,
                                                TimePoint now) {
  if (log_.enabled(LogLevel::debug))
    log_.debug("register received", {{"agent", from.peer.text()}, {"interval_ms", packet.interval_ms}});
  {
    const Access rows(table_);
    Backend* known = rows.by_peer(from.peer);
    if (known != nullptr && same_service(*known, packet.service) && !known->agent.leaving) {
      known->agent.last_register = now;
      known->agent.register_interval =
          std::min<Duration>(std::chrono::milliseconds(packet.interval_ms), kLongestInterval);
      return std::nullopt;
    }
  }
  strangers_.challenged(from.peer, packet.service.port, now);
  return challenge(path_of(from), now);
}

std::optional<Envelope> Membership::challenge(const AgentPath& agent, TimePoint now) const {
  if (!allowed(agent.peer)) return std::nullopt;
  const monitoring::ProbeRequest probe{0, challenge_.nonce(agent.peer, now), false};
  return Envelope{probe, agent.peer, agent.local, agent.interface, {}};
}

Membership::Verdict Membership::on_response(const Envelope& from, const ProbeResponse& packet, TimePoint now) {
  const bool challenged = packet.sequence == 0 && challenge_.valid(packet.nonce, from.peer, now);
  if (challenged) strangers_.answered(from.peer);
  if (challenged && is_loop(from.peer.with_port(packet.service.port))) return DropReason::loop;
  Notices notices;
  Verdict verdict;
  {
    const Access rows(table_);
    Backend* known = rows.by_peer(from.peer);
    if (known != nullptr && same_service(*known, packet.service) && !challenged) {
      const auto answer = known->take_response(packet, from.arrival, options_.get()->timers.probe_timeout);
      if (answer == Backend::Answer::wrong_nonce) return DropReason::nonce;
      known->heard(now, answer == Backend::Answer::taken);
      rows.refresh(*known, now);
      if (answer == Backend::Answer::late) return DropReason::late;
      known->pool->meters.probe_rtt.observe(*known->estimates().rtt().sample());
      if (log_.enabled(LogLevel::debug))
        notices.add(LogLevel::debug, "probe answered",
                    {{"backend", known->name()},
                     {"seq", packet.sequence},
                     {"rtt_ms", to_ms(*known->estimates().rtt().sample()), 1},
                     {"estimated_ms", to_ms(known->estimates().rtt().estimated()), 1}});
    } else if (challenged || restarted_in_place(known, packet)) {
      verdict = validated(rows, from, packet, now, notices);
    } else {
      verdict = known == nullptr && packet.sequence != 0 ? DropReason::unknown : DropReason::nonce;
    }
  }
  notices.write(log_);
  return verdict;
}

Membership::Verdict Membership::validated(const Access& rows, const Envelope& from, const ProbeResponse& packet,
                                          TimePoint now, Notices& notices) {
  const BackendKey key{from.peer.with_port(packet.service.port), packet.service.pool};
  if (Backend* incumbent = rows.by_key(key))
    return known_identity(rows, *incumbent, path_of(from), packet, now, notices);
  Backend* first_road = other_road(rows, key, packet.service.boot_id);
  if (first_road != nullptr && !first_road->agent.silent) return DropReason::alias;
  Backend* added = rows.add(key, Source::agent);
  if (added == nullptr) return DropReason::table_full;
  if (first_road != nullptr) rows.leave(*first_road, Departure::elsewhere, now);
  admit(rows, *added, path_of(from), packet, now);
  notices.add(LogLevel::info, "back-end registered",
              {{"backend", added->name()}, {"pool", added->pool_name}, {"agent", from.peer.text()}});
  if (!rows.is_served(*added))
    notices.add(LogLevel::warn, words_of_unserved(added->pool_name),
                {{"backend", added->name()}, {"pool", added->pool_name}});
  return std::nullopt;
}

Membership::Verdict Membership::known_identity(const Access& rows, Backend& incumbent, const AgentPath& path,
                                               const ProbeResponse& packet, TimePoint now, Notices& notices) {
  if (incumbent.source == Source::configured) return DropReason::conflict;  // --backend has it: judged by connects
  const bool same_port = incumbent.agent.path.peer == path.peer;
  if (!same_port && !incumbent.agent.silent && !incumbent.agent.leaving) {
    // Someone else claims a living agent's identity. One probe of the incumbent decides; see Alarms.
    if (!incumbent.contender) {
      incumbent.contender = {path, packet.service.boot_id, incumbent.last_sequence() + 1};
      rows.schedule_probe(incumbent, now);
    }
    return DropReason::conflict;
  }
  const bool restarted = incumbent.agent.boot_id != packet.service.boot_id || incumbent.agent.leaving;
  if (restarted || !same_port) {
    admit(rows, incumbent, path, packet, now);
    notices.add(LogLevel::info, restarted ? "agent restarted" : "agent moved",
                {{"backend", incumbent.name()}, {"agent", path.peer.text()}});
  } else {
    return DropReason::nonce;  // a challenge answered twice: a copy
  }
  return std::nullopt;
}

void Membership::admit(const Access& rows, Backend& backend, const AgentPath& path, const ProbeResponse& packet,
                       TimePoint now) const {
  rows.index_peer(backend, path.peer, now);
  backend.adopt(path, packet.service.boot_id, now);
  backend.take_load(packet, now);
  if (backend.next_alive_check == TimePoint::max()) backend.next_alive_check = now + options_.get()->timers.alive_interval;
  rows.refresh(backend, now);
  rows.schedule_probe(backend, now);  // at once: the challenge measured no RTT
}

Membership::Verdict Membership::on_deregister(const Envelope& from, const monitoring::Deregister& packet,
                                              TimePoint now) {
  Notices notices;
  {
    const Access rows(table_);
    Backend* known = rows.by_peer(from.peer);
    if (known == nullptr || !same_service(*known, packet.service)) return DropReason::unknown;
    // The last probe may have been a challenge, caused by a Register in another's name.
    if (!known->recent_nonce(packet.nonce) && !challenge_.valid(packet.nonce, from.peer, now)) return DropReason::nonce;
    rows.leave(*known, Departure::goodbye, now);
    notices.add(LogLevel::info, "back-end deregistered", {{"backend", known->name()}});
    rows.remove(*known);  // with its last connection, if it has any
  }
  notices.write(log_);
  return std::nullopt;
}

void Membership::fill(MonitoringStatus& status, TimePoint now) const {
  strangers_.fill(status, now);
  const auto options = options_.get();  // a loop over options_.get()->allow would outlive what it holds
  for (const Cidr& range : options->allow) status.allowed.push_back(range.text());
}

bool Membership::allowed(const Address& peer) const {
  const auto options = options_.get();
  return options->allow.empty() || std::any_of(options->allow.begin(), options->allow.end(),
                                               [&](const Cidr& range) { return range.contains(peer); });
}

bool Membership::is_loop(const Address& service) const {
  const auto options = options_.get();
  return std::any_of(options->listeners.begin(), options->listeners.end(),
                     [&](const Address& own) { return reaches(service, own); });
}

}  // namespace farol::proxy
