#include "proxy/pool.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>

#include "proxy/backend.hpp"
#include "proxy/source_hash.hpp"

namespace farol::proxy {
namespace {

constexpr std::size_t kConsidered = 16;  ///< candidates shown of a decision that is kept

std::uint32_t busy(const Standing& standing, BackendSignals::Connections own) {
  return std::min(own.open, own.owed + standing.flowing);
}

bool was_tried(const Request& request, const Backend& backend) {
  return std::find(request.tried.begin(), request.tried.end(), backend.id) != request.tried.end();
}

constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();  ///< no slot

/// Why one in this state is kept out of a choice.
Verdict verdict_of(State state) {
  switch (state) {
    case State::new_: return Verdict::unchecked;
    case State::up:  // never kept out
    case State::stale: return Verdict::stale;
    case State::down: return Verdict::down;
    case State::ejected: return Verdict::ejected;
    case State::drain: return Verdict::drain;
    case State::maint: break;
  }
  return Verdict::maint;
}

template <typename Value>
void take_out(std::vector<Value>& values, std::size_t slot) {
  values[slot] = std::move(values.back());
  values.pop_back();
}

}  // namespace

Pool::Pool(std::string name_, Policy policy_, const WeightedConfig& config, std::size_t capacity)
    : name(std::move(name_)), policy(policy_), changed(capacity), config_(config) {}

void Pool::change_rules(Policy next, const WeightedConfig& config) {
  SpinLock lock(mutex_);
  policy = next;
  config_ = config;
}

void Pool::call(const std::string& known_as) {
  for (Backend* backend : members) backend->pool_name = known_as;
  SpinLock lock(mutex_);
  name = known_as;
}

void Pool::add(Backend& backend) {
  SpinLock lock(mutex_);
  backend.pool = this;
  backend.signals.slot = static_cast<std::uint32_t>(entries_.size());
  backend.signals.changed = &changed;
  backend.signals.meters = &meters;
  members.push_back(&backend);
  key_.push_back(kNotNow);
  chosen_at_.push_back(0);
  share_.push_back(1);
  open_.push_back(0);
  identity_.push_back(identity_hash(backend.key.address));
  credit_.push_back(0);
  entries_.push_back({&backend, {}, 0});
  ++in_tier_[static_cast<std::size_t>(Tier::never)];
}

bool Pool::remove(Backend& backend) {
  SpinLock lock(mutex_);
  if (backend.signals.open() > 0) return false;
  const std::size_t slot = backend.signals.slot;
  set_tier(slot, Tier::never);
  --in_tier_[static_cast<std::size_t>(Tier::never)];
  take_out(members, slot);
  take_out(key_, slot);
  take_out(chosen_at_, slot);
  take_out(share_, slot);
  all_open_ -= open_[slot];
  take_out(open_, slot);
  take_out(identity_, slot);
  take_out(credit_, slot);
  take_out(entries_, slot);
  if (slot < entries_.size()) {
    entries_[slot].backend->signals.slot = static_cast<std::uint32_t>(slot);
    revalue(slot);  // what was marked under its old slot
  }
  return true;
}

void Pool::publish(const Backend& backend, const Standing& standing, TimePoint now) {
  SpinLock lock(mutex_);
  const std::size_t slot = backend.signals.slot;
  const Tier exposed = exposed_;
  set_tier(slot, standing.tier);
  entries_[slot].standing = standing;
  share_[slot] = standing.share;
  revalue(slot);
  const bool helps = key_[slot] != kNotNow || (standing.tier <= Tier::backup && !full(slot)) || exposed_ != exposed;
  if (!queue_.empty() && helps) serve_queue(now);
}

void Pool::set_tier(std::size_t slot, Tier tier) {
  Tier& now = entries_[slot].standing.tier;
  if (now == tier) return;
  --in_tier_[static_cast<std::size_t>(now)];
  ++in_tier_[static_cast<std::size_t>(tier)];
  now = tier;
  expose_best_tier();
}

/// Brings the slot's key up to date with what the relays count.
void Pool::revalue(std::size_t slot) {
  const Entry& entry = entries_[slot];
  const BackendSignals::Connections own = entry.backend->signals.connections();
  all_open_ += own.open - std::uint64_t{open_[slot]};
  open_[slot] = own.open;
  key_[slot] = entry.standing.tier == exposed_ && !full(slot) ? rated(entry.standing, own) : kNotNow;
}

/// What the policy compares, of whoever may be chosen.
double Pool::rated(const Standing& standing, BackendSignals::Connections own) const {
  const double load = policy == Policy::weighted ? own_load(own.open, busy(standing, own), config_) : own.open;
  return standing.base + standing.per_load * load;
}

/// It has as many connections as it may. What only adds connections needs the lock, so it never has more.
bool Pool::full(std::size_t slot) const {
  const std::uint32_t most = entries_[slot].standing.most;
  return most > 0 && open_[slot] >= most;
}

void Pool::expose(Tier tier) {
  exposed_ = tier;
  for (std::size_t slot = 0; slot < entries_.size(); ++slot) revalue(slot);
}

void Pool::expose_best_tier() {
  std::size_t best = 0;
  while (best < static_cast<std::size_t>(Tier::last_resort) && in_tier_[best] == 0) ++best;
  if (static_cast<Tier>(best) != exposed_) expose(static_cast<Tier>(best));
}

Candidates Pool::candidates() { return {key_, chosen_at_, share_, open_, identity_, credit_}; }

std::optional<Pick> Pool::pick(const Request& request) {
  return proxy::choose(policy, candidates(), all_open_ == 0 ? config_.idle_tie : config_.tie, request.client);
}

/// After a failed attempt, or when all of the exposed tier are full: without those that were tried, tier by tier. But
/// to one that looks dead nobody goes while a healthy one is merely full.
std::optional<Pick> Pool::pick_untried(const Request& request) {
  std::optional<Pick> found;
  bool healthy_full = false;
  for (Tier tier = exposed_; !found && tier != Tier::never; tier = static_cast<Tier>(static_cast<int>(tier) + 1)) {
    if (tier == Tier::last_resort && (healthy_full || request.no_last_resort)) break;
    if (tier != exposed_) expose(tier);
    for (std::size_t slot = 0; slot < entries_.size(); ++slot) {
      if (was_tried(request, *entries_[slot].backend))
        key_[slot] = kNotNow;
      else if (entries_[slot].standing.tier == tier)
        healthy_full = healthy_full || full(slot);
    }
    found = pick(request);
  }
  return found;
}

std::optional<Choice> Pool::choose(const Request& request) {
  SpinLock lock(mutex_);
  changed.take(entries_.size(), [this](std::size_t slot) NO_THREAD_SAFETY_ANALYSIS { revalue(slot); });
  if (!queue_.empty()) serve_queue(request.now);
  return choose_now(request, false);
}

/// From what is known when the choice is made; the rest is the policy's.
Reason Pool::reason(const Request& request, const Pick& pick, bool queued) const {
  const Tier tier = entries_[pick.index].standing.tier;
  if (tier == Tier::last_resort) return Reason::last_resort;
  if (tier == Tier::backup) return Reason::backup;
  if (!request.tried.empty()) return Reason::retry;
  if (queued) return Reason::queued;
  if (policy == Policy::source_hash)
    return has_moved(request.client, pick) ? Reason::source_moved : Reason::source;
  return policy == Policy::round_robin || key_[pick.index] > pick.runner_up ? Reason::turn : Reason::lowest;
}

/// The client has gone past its own back-end. A backup in reserve is nobody's own, however near.
bool Pool::has_moved(std::uint64_t client, const Pick& pick) const {
  if (!pick.perhaps_moved) return false;
  const double distance = source_distance(identity_[pick.index], client, share_[pick.index]);
  for (std::size_t slot = 0; slot < entries_.size(); ++slot)
    if (is_nearer(identity_[slot], client, share_[slot], distance) && !entries_[slot].standing.backup) return true;
  return false;
}

std::optional<Choice> Pool::choose_now(const Request& request, bool queued) {
  const Tier exposed = exposed_;
  std::optional<Pick> picked;
  if (request.tried.empty()) picked = pick(request);
  const bool plainly = picked.has_value();
  if (!picked) picked = pick_untried(request);
  std::optional<Choice> choice;
  if (picked) {
    const std::size_t slot = picked->index;
    choice.emplace();
    choice->backend = entries_[slot].backend;
    choice->score = key_[slot];
    choice->runner_up = picked->runner_up;
    chosen_at_[slot] = ++choices_;
    const Reason why = reason(request, *picked, queued);
    ++by_reason_[static_cast<std::size_t>(why)];
    tell(request, slot, why);
    choice->backend->signals.opened();
    ++entries_[slot].chosen;
    if (plainly) revalue(slot);
  } else if (!queued) {
    ++choices_;
    ++by_reason_[static_cast<std::size_t>(Reason::nobody)];
    tell(request, kNobody, Reason::nobody);
  }
  if (!plainly) expose(exposed);
  return choice;
}

/// Explanations are a courtesy: without memory for one the choice stands all the same.
void Pool::tell(const Request& request, std::size_t chosen, Reason why) {
  try {
    if (request.explained != nullptr) *request.explained = explain_all(request, chosen, entries_.size());
    if (kept_.wants(why, request.now)) keep(request, chosen, why);
  } catch (const std::bad_alloc&) {
  }
}

/// Waiting helps unless everybody was tried who may be chosen: only a full one will be there again soon.
bool Pool::worth_waiting(const Request& request) const {
  for (std::size_t slot = 0; slot < entries_.size() && !request.tried.empty(); ++slot)
    if (entries_[slot].standing.tier <= Tier::backup && full(slot) && !was_tried(request, *entries_[slot].backend))
      return true;
  return request.tried.empty();
}

Pool::Joined Pool::join(Waiter& waiter, std::size_t most, TimePoint now) {
  SpinLock lock(mutex_);
  if (!worth_waiting(waiter.request)) return Joined::in_vain;
  if (queue_.size() >= most) return Joined::full;
  waiter.place = queue_.insert(queue_.end(), &waiter);
  waiting_.store(queue_.size());
  serve_queue(now);  // a connection that ended before that store has not seen it
  return Joined::waits;
}

std::optional<Choice> Pool::leave(Waiter& waiter) {
  SpinLock lock(mutex_);
  if (!waiter.choice) queue_.erase(waiter.place);
  waiting_.store(queue_.size());
  return std::exchange(waiter.choice, std::nullopt);
}

void Pool::serve(TimePoint now) {
  SpinLock lock(mutex_);
  if (!queue_.empty()) serve_queue(now);
}

/// In the order of their coming. Only who has tried somebody already may be left behind: nobody else is pickier than
/// the next. All keys are looked at anew, for a connection marks its back-end before it is counted as ended.
void Pool::serve_queue(TimePoint now) {
  expose(exposed_);
  for (auto next = queue_.begin(); next != queue_.end();) {
    Waiter& waiter = **next++;
    waiter.request.now = now;
    waiter.choice = choose_now(waiter.request, true);
    if (!waiter.choice && waiter.request.tried.empty()) break;
    if (!waiter.choice) continue;
    queue_.erase(waiter.place);
    waiter.chosen();
  }
  waiting_.store(queue_.size());
}

/// Of one that was not chosen. Keys are as they were when the choice was made.
Verdict Pool::verdict(const Request& request, std::size_t slot) const {
  const Standing& standing = entries_[slot].standing;
  if (was_tried(request, *entries_[slot].backend)) return Verdict::tried_before;
  if (key_[slot] != kNotNow) return Verdict::passed_over;
  if (standing.tier > Tier::backup) return verdict_of(standing.told.state);
  return full(slot) ? Verdict::full : Verdict::backup;
}

Explained Pool::explain(const Request& request, std::size_t slot) const {
  const Standing& standing = entries_[slot].standing;
  const BackendSignals::Connections own = entries_[slot].backend->signals.connections();
  Explained told = standing.told;
  told.address = entries_[slot].backend->key.address;
  told.verdict = verdict(request, slot);
  told.score = rated(standing, own);
  told.components.tcp += told.score - standing.base;
  if (standing.reported_at) told.report_age = std::max(request.now - *standing.reported_at, Duration::zero());
  told.open = own.open;
  told.busy = busy(standing, own);
  return told;
}

/// The chosen one, the best of the others and then of those left out, `most` in all.
std::vector<Explained> Pool::explain_all(const Request& request, std::size_t chosen, std::size_t most) const {
  std::vector<std::size_t> slots(entries_.size());
  std::iota(slots.begin(), slots.end(), std::size_t{0});
  const auto rank = [&](std::size_t slot) NO_THREAD_SAFETY_ANALYSIS {
    return std::tuple(slot != chosen, key_[slot], entries_[slot].standing.base);
  };
  const std::size_t shown = std::min(slots.size(), most);
  std::partial_sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(shown), slots.end(),
                    [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  slots.resize(shown);
  std::vector<Explained> result;
  for (const std::size_t slot : slots) result.push_back(explain(request, slot));
  if (chosen != kNobody) result.front().verdict = Verdict::chosen;
  return result;
}

void Pool::keep(const Request& request, std::size_t chosen, Reason why) {
  Decision decision;
  decision.number = choices_;
  decision.at = request.now;
  decision.pool = name;
  decision.policy = policy;
  decision.reason = why;
  if (chosen != kNobody) decision.chosen = entries_[chosen].backend->key.address;
  for (std::size_t slot = 0; slot < entries_.size(); ++slot) {
    const Verdict found = slot == chosen ? Verdict::chosen : verdict(request, slot);
    ++decision.verdicts[static_cast<std::size_t>(found)];
    if (found <= Verdict::passed_over) ++decision.candidates;
  }
  decision.considered = explain_all(request, chosen, kConsidered);
  kept_.keep(std::move(decision));
}

bool Pool::idle() {
  SpinLock lock(mutex_);
  return all_open_ == 0;
}

std::uint64_t Pool::times_chosen(const Backend& backend) {
  SpinLock lock(mutex_);
  return entries_[backend.signals.slot].chosen;
}

std::array<std::uint64_t, kReasons> Pool::choices() {
  SpinLock lock(mutex_);
  return by_reason_;
}

std::vector<Decision> Pool::decisions() {
  SpinLock lock(mutex_);
  return kept_.newest_first();
}

}  // namespace farol::proxy
