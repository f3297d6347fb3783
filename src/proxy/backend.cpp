#include "proxy/backend.hpp"

#include <algorithm>
#include <utility>

namespace farol::proxy {
namespace {

constexpr auto kFirstEjection = std::chrono::seconds(1);
constexpr auto kLongestEjection = std::chrono::seconds(10);
constexpr int kMaxFailures = 5;
/// Remembered of an agent that never answers.
constexpr std::size_t kMaxOutstanding = 16;
/// Who does not answer and is not yet silent is asked so many times in a row at each interval.
constexpr int kAskedInRow = 3;
/// So many lost since the last packet are no chance: one in 15 600 where a fifth is lost.
constexpr int kLostBeyondDoubt = 2 * kAskedInRow;
/// A row without any packet for this many intervals is forgotten.
constexpr int kForgottenAfter = 3;

}  // namespace

Backend::Backend(std::uint64_t id_, BackendKey key_, std::string pool_name_, Source source_,
                 const WeightedConfig& config)
    : id(id_), key(key_), source(source_), pool_name(std::move(pool_name_)), config_(config), estimates_(config) {}

bool Backend::judged_by_check() const {
  return source == Source::configured || agent.silent || !agent.listening || failing_;
}

/// A verdict from a time when nobody wanted one does not count.
void Backend::start_judging() {
  if (!judged_by_check()) check = Check::unknown;
}

/// The operator's word, then failed connections, then the agent's word or silence, then what is assumed.
State Backend::state(TimePoint now) const {
  if (admin == AdminState::maint) return State::maint;
  if (admin == AdminState::drain || agent.draining || agent.leaving) return State::drain;
  if (judged_by_check() && check == Check::refused) return State::down;
  if (is_ejected(now)) return State::ejected;
  if (source == Source::configured) return check == Check::accepted ? State::up : State::new_;
  if (!agent.silent) return State::up;
  return require_agent ? State::down : State::stale;
}

Tier Backend::tier(TimePoint now, Policy policy) const {
  const State current = state(now);
  const bool silent_too = policy != Policy::report;
  if (current == State::up || (silent_too && current == State::stale)) return backup ? Tier::backup : Tier::primary;
  return silent_too && permitted() ? Tier::last_resort : Tier::never;
}

bool Backend::permitted() const {
  return admin == AdminState::ready && !agent.draining && !agent.leaving;
}

void Backend::adopt(const AgentPath& path, std::uint64_t boot_id, TimePoint now) {
  agent.path = path;
  agent.boot_id = boot_id;
  agent.leaving = false;
  agent.listening = true;
  outstanding_.clear();
  recent_ = {};
  estimates_.new_agent();
  contender.reset();
  ejected_until_ = {};  // a newly validated agent ends an ejection, and whatever connects said
  failing_ = false;
  entered_ = false;     // and starts slowly
  heard(now);
}

void Backend::heard(TimePoint now, bool in_time) {
  agent.last_packet = now;
  agent.packet_since_check = true;
  const bool was_silent = std::exchange(agent.silent, false);
  if (lost_in_row_ > 0 && (was_silent || failing_)) estimates_.outage_ended();
  if (in_time) lost_in_row_ = 0;
  lost_unheard_ = 0;
  if (was_silent && failing_) next_check = now;
}

monitoring::ProbeRequest Backend::make_probe(std::uint64_t nonce, TimePoint now, Duration timeout) {
  if (outstanding_.size() >= kMaxOutstanding) outstanding_.erase(outstanding_.begin());
  const std::uint32_t sequence = next_sequence_++;
  OutstandingProbe& probe = outstanding_.emplace_back(OutstandingProbe{sequence, nonce, now, now + timeout});
  probe.in_doubt = now >= next_alive_check && in_doubt();
  recent_ = {RecentProbe{sequence, nonce}, recent_[0]};
  return {sequence, nonce, false};
}

Backend::Answer Backend::take_response(const monitoring::ProbeResponse& response, TimePoint arrival,
                                       Duration timeout) {
  const bool first = first_answer(response);
  const auto probe = std::find_if(outstanding_.begin(), outstanding_.end(), [&](const OutstandingProbe& o) {
    return o.sequence == response.sequence && o.nonce == response.nonce && !o.late;
  });
  if (probe == outstanding_.end()) return first ? Answer::late : Answer::wrong_nonce;
  if (contender && response.sequence >= contender->decided_by) {
    contender.reset();  // the incumbent lives
    ++conflicts;
  }
  const Duration rtt = std::max(arrival - probe->sent, Duration::zero());
  if (rtt > timeout) {
    probe->late = true;
    return Answer::late;
  }
  const bool again = asked_again() || probe->in_doubt;
  outstanding_.erase(probe);
  ++probes_answered;
  estimates_.probe_answered(rtt, again, arrival);
  take_load(response, arrival);
  return Answer::taken;
}

void Backend::take_load(const monitoring::ProbeResponse& response, TimePoint now) {
  estimates_.take_report(response.load, signals.open(), now);
  agent.draining = response.draining;
  if (agent.listening == response.listening) return;
  start_judging();
  agent.listening = response.listening;
  if (judged_by_check()) next_check = now;
}

bool Backend::first_answer(const monitoring::ProbeResponse& response) {
  for (RecentProbe& probe : recent_)
    if (probe.sequence == response.sequence && probe.nonce == response.nonce && probe.nonce != 0)
      return !std::exchange(probe.answered, true);
  return false;
}

Backend::Expired Backend::expire_probes(TimePoint now, Duration timeout, bool we_slept) {
  Expired result;
  std::erase_if(outstanding_, [&](OutstandingProbe& probe) {
    if (now < probe.deadline) return false;
    if (we_slept && !probe.voided) {  // its answer may be waiting in the socket: one more time-out, no loss
      probe.voided = true;
      probe.deadline = now + timeout;
      return false;
    }
    if (probe.voided) return true;
    ++result.lost;
    ++probes_lost;
    estimates_.probe_lost(agent.silent, asked_again() || probe.in_doubt, lost_in_row_ == 0);
    ++lost_in_row_;
    ++lost_unheard_;
    if (contender && probe.sequence >= contender->decided_by) result.contender_won = true;
    return true;
  });
  result.ask_again = result.lost > 0 && !agent.silent && asked_again();
  return result;
}

/// Whether the next probe follows one that was lost, instead of an interval.
bool Backend::asked_again() const { return lost_in_row_ % kAskedInRow != 0; }

bool Backend::is_outstanding(std::uint32_t sequence, std::uint64_t nonce) const {
  return std::any_of(outstanding_.begin(), outstanding_.end(),
                     [&](const OutstandingProbe& o) { return o.sequence == sequence && o.nonce == nonce; });
}

bool Backend::recent_nonce(std::uint64_t nonce) const {
  return nonce != 0 && (nonce == recent_[0].nonce || nonce == recent_[1].nonce);
}

bool Backend::in_doubt() const {
  return !agent.packet_since_check && !agent.silent && lost_unheard_ < kLostBeyondDoubt;
}

bool Backend::check_alive() {
  const bool alive = std::exchange(agent.packet_since_check, false);
  if (alive || agent.silent) return false;
  start_judging();
  agent.silent = true;
  return true;
}

bool Backend::forgotten(TimePoint now, const MonitoringConfig& config) const {
  return signals.open() == 0 && now > forgotten_at(config);
}

TimePoint Backend::forgotten_at(const MonitoringConfig& config) const {
  if (agent.leaving) return TimePoint::min();
  if (source != Source::agent) return TimePoint::max();
  return agent.last_packet + kForgottenAfter * std::max(agent.register_interval, config.alive_interval);
}

TimePoint Backend::next_alarm() const {
  if (agent.leaving) return TimePoint::min();  // it goes with its last connection, of which nobody tells
  TimePoint next = check_running ? next_alive_check : std::min(next_check, next_alive_check);
  for (const OutstandingProbe& probe : outstanding_) next = std::min(next, probe.deadline);
  return next;
}

bool Backend::needs_check(TimePoint now) const {
  return admin != AdminState::maint && !agent.leaving && (judged_by_check() || is_ejected(now));
}

void Backend::take_check(bool accepted, TimePoint now, const MonitoringConfig& config) {
  check_running = false;
  // A check is over before the kernel sends a lost SYN again, and one lost packet proves nothing: it is asked once more.
  const bool well = check != Check::refused && !failing_;
  unanswered_once_ = !accepted && check_unanswered && well && !unanswered_once_;
  if (unanswered_once_) {
    next_check = now;
    return;
  }
  check = accepted ? Check::accepted : Check::refused;
  failing_ = !accepted;
  if (accepted) ejected_until_ = {};
  next_check = needs_check(now) ? now + config.probe_interval : TimePoint::max();
}

void Backend::connect_failed(TimePoint now, bool may_eject) {
  ++connections_failed;
  estimates_.connection_failed(now);
  if (is_ejected(now)) return;
  start_judging();
  const bool first = !std::exchange(failing_, true);
  if (first || may_eject) next_check = now + kFirstEjection;
  if (!may_eject) return;
  connect_failures_ = std::min(connect_failures_ + 1, kMaxFailures);
  const auto ejection = std::min<Duration>(kFirstEjection * (1 << (connect_failures_ - 1)), kLongestEjection);
  ejected_until_ = now + ejection;
}

void Backend::take_signals(double ticks, TimePoint now) {
  if (estimates_.take_signals(signals, ticks, now)) connect_failures_ = 0;
}

void Backend::enter(bool eligible, bool pool_settled, TimePoint now) {
  if (eligible && !entered_) {
    ramps_ = pool_settled;
    entered_at_ = now;
  }
  entered_ = eligible;
}

double Backend::ramp(TimePoint now) const {
  if (!ramps_ || now - entered_at_ >= config_.slow_start) return 1;
  return std::max(config_.slow_start_from, to_seconds(now - entered_at_) / to_seconds(config_.slow_start));
}

LoadView Backend::load_view(TimePoint now) const {
  LoadView view = estimates_.view(!agent.silent, signals, now);
  view.weight = weight;
  view.ramp = ramp(now);
  return view;
}

BackendStatus Backend::status(TimePoint now) const {
  BackendStatus view;
  view.address = key.address;
  view.pool = pool_name;
  view.source = source;
  view.state = state(now);
  estimates_.fill(view, now);
  view.connections_active = signals.open();
  view.connections_most = max_connections;
  view.connections_failed = connections_failed;
  view.bytes_in = signals.bytes_in();
  view.bytes_out = signals.bytes_out();
  view.probes_sent = last_sequence();
  view.probes_answered = probes_answered;
  view.probes_lost = probes_lost;
  view.ejected_for = is_ejected(now) ? ejected_until_ - now : Duration::zero();
  view.ordered = admin;
  view.leaving = agent.leaving;
  view.departure = agent.departure;
  view.agent_silent = source == Source::agent && agent.silent;
  view.service_failed = judged_by_check() && check == Check::refused;
  view.service_unanswered = view.service_failed && check_unanswered;
  view.backup = backup;
  view.weight = weight;
  if (const double share = ramp(now); entered_ && share < 1) view.slow_start = share;
  if (source == Source::agent) {
    view.agent = agent.path.peer;
    view.listening = agent.listening;
    if (agent.last_register) view.register_age = now - *agent.last_register;
  }
  view.conflicts = conflicts;
  return view;
}

}  // namespace farol::proxy
