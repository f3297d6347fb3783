#include "proxy/alarms.hpp"

#include <algorithm>

#include "proxy/backend_table_access.hpp"

namespace farol::proxy {

std::vector<Alarms::CheckToStart> Alarms::tick(TimePoint now, bool we_slept) {
  std::vector<CheckToStart> checks;
  Notices notices;
  {
    const Access rows(table_);
    const auto timers = timers_.get();  // under the lock: change_timers() sets them, and then what was planned
    if (we_slept)
      for (const auto& [id, row] : rows.rows()) rows.look_by(*row, now);
    for (Backend* backend : rows.take_due_looks(now)) {
      if (backend->source == Source::agent) {
        probe_timeouts(rows, *backend, *timers, now, we_slept, notices);
        agent_alive(rows, *backend, *timers, now, we_slept, notices);
      }
      if (!we_slept && backend->forgotten(now, *timers)) {
        forget(rows, *backend, now, notices);
        continue;
      }
      if (const auto check = due_check(*backend, *timers, now)) checks.push_back(*check);
      rows.look_by(*backend, std::min(backend->next_alarm(), backend->forgotten_at(*timers)));
    }
  }
  notices.write(log_);
  return checks;
}

void Alarms::forget(const Access& rows, Backend& backend, TimePoint now, Notices& notices) const {
  const std::string name = backend.name();
  if (rows.remove(backend))
    notices.add(LogLevel::info, "back-end removed", {{"backend", name}});
  else
    rows.look_by(backend, now);
}

void Alarms::probe_timeouts(const Access& rows, Backend& backend, const MonitoringConfig& timers, TimePoint now,
                            bool we_slept, Notices& notices) const {
  if (!backend.has_outstanding()) return;
  const Backend::Expired expired = backend.expire_probes(now, timers.probe_timeout, we_slept);
  if (expired.lost > 0) {
    backend.pool->meters.probes_lost.fetch_add(static_cast<std::uint64_t>(expired.lost), std::memory_order_relaxed);
    rows.refresh(backend, now);
    if (expired.ask_again && !backend.agent.leaving) rows.schedule_probe(backend, now);
    notices.add(LogLevel::debug, "probe lost",
                {{"backend", backend.name()}, {"loss", backend.estimates().loss().share(), 2}});
  }
  if (!expired.contender_won || !backend.contender) return;
  const Contender winner = *backend.contender;
  rows.index_peer(backend, winner.path.peer, now);
  backend.adopt(winner.path, winner.boot_id, now);
  rows.refresh(backend, now);
  rows.schedule_probe(backend, now);
  notices.add(LogLevel::info, "agent moved", {{"backend", backend.name()}, {"agent", winner.path.peer.text()}});
}

void Alarms::agent_alive(const Access& rows, Backend& backend, const MonitoringConfig& timers, TimePoint now,
                         bool we_slept, Notices& notices) const {
  if (we_slept) {  // what the agent said in the meantime may have been lost: it is owed a whole new period
    backend.next_alive_check = now + timers.alive_interval;
    backend.agent.last_packet = now;
  }
  if (now < backend.next_alive_check || backend.agent.leaving) return;
  if (backend.in_doubt() && now < backend.next_alive_check + timers.alive_interval / 2) {
    if (!backend.has_outstanding() && backend.next_probe > now) rows.schedule_probe(backend, now);
    return;  // it is looked at again at the next tick
  }
  backend.next_alive_check = now + timers.alive_interval;
  if (!backend.check_alive()) return;
  backend.next_check = now;
  rows.refresh(backend, now);
  notices.add(LogLevel::warn, "agent silent", {{"backend", backend.name()}});
}

std::optional<Alarms::CheckToStart> Alarms::due_check(Backend& backend, const MonitoringConfig& timers,
                                                      TimePoint now) const {
  if (backend.check_running || now < backend.next_check) return std::nullopt;
  if (!backend.needs_check(now)) {
    backend.next_check = backend.admin == AdminState::maint ? now + timers.probe_interval : TimePoint::max();
    return std::nullopt;
  }
  backend.check_running = true;
  return CheckToStart{backend.id, backend.key.address};
}

void Alarms::check_done(const TcpChecks::Result& result, TimePoint now) {
  const auto timers = timers_.get();
  Notices notices;
  {
    const Access rows(table_);
    Backend* backend = rows.by_id(result.backend);
    if (backend == nullptr) return;
    if (result.outcome == TcpChecks::Outcome::not_tried) {
      backend->check_running = false;
      backend->next_check = now + timers->check_timeout;
      rows.look_by(*backend, backend->next_check);
      return;
    }
    const State before = backend->state(now);
    backend->check_unanswered = result.outcome == TcpChecks::Outcome::unreachable;
    backend->take_check(result.outcome == TcpChecks::Outcome::accepted, now, *timers);
    rows.refresh(*backend, now);
    const State after = backend->state(now);
    if (before != after)
      notices.add(after == State::down ? LogLevel::warn : LogLevel::info, "back-end state changed",
                  {{"backend", backend->name()}, {"from", to_string(before)}, {"to", to_string(after)}});
  }
  notices.write(log_);
}

}  // namespace farol::proxy
