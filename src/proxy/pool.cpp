#include "proxy/pool.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "proxy/backend.hpp"
#include "proxy/source_hash.hpp"

namespace farol::proxy {
namespace {

constexpr std::size_t kKept = 64;         ///< decisions remembered
constexpr std::size_t kConsidered = 16;   ///< candidates shown of each
constexpr double kKeptPerSecond = 10;     ///< in the long run; kKept at once

std::uint32_t busy(const Standing& standing, BackendSignals::Connections own) {
  return std::min(own.open, own.owed + standing.flowing);
}

bool was_tried(const Request& request, const Backend& backend) {
  return std::find(request.tried.begin(), request.tried.end(), backend.id) != request.tried.end();
}

template <typename Value>
void take_out(std::vector<Value>& values, std::size_t slot) {
  values[slot] = std::move(values.back());
  values.pop_back();
}

}  // namespace

Pool::Pool(std::string name_, Policy policy_, const WeightedConfig& config, std::size_t capacity)
    : name(std::move(name_)), policy(policy_), changed(capacity), config_(config), may_keep_(kKept) {}

void Pool::add(Backend& backend) {
  SpinLock lock(mutex_);
  backend.pool = this;
  backend.signals.slot = static_cast<std::uint32_t>(entries_.size());
  backend.signals.changed = &changed;
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
  const double load = policy == Policy::weighted ? own_load(own.open, busy(entry.standing, own), config_) : own.open;
  const bool open_to_all = entry.standing.tier == exposed_ && !full(slot);
  key_[slot] = open_to_all ? entry.standing.base + entry.standing.per_load * load : kNotNow;
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
    if (tier == Tier::last_resort && healthy_full) break;
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
  return choose_now(request);
}

std::optional<Choice> Pool::choose_now(const Request& request) {
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
    tell(request, slot);
    choice->backend->signals.opened();
    ++entries_[slot].chosen;
    if (plainly) revalue(slot);
  }
  if (!plainly) expose(exposed);
  return choice;
}

/// Explanations are a courtesy: without memory for one the choice stands all the same.
void Pool::tell(const Request& request, std::size_t chosen) {
  try {
    if (request.explained != nullptr) *request.explained = explain_all(chosen, entries_.size());
    if (worth_keeping(request.now)) keep(chosen, request.now);
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
    waiter.choice = choose_now(waiter.request);
    if (!waiter.choice && waiter.request.tried.empty()) break;
    if (!waiter.choice) continue;
    queue_.erase(waiter.place);
    waiter.chosen();
  }
  waiting_.store(queue_.size());
}

Explained Pool::explain(std::size_t slot) const {
  const Standing& standing = entries_[slot].standing;
  Explained told = standing.told;
  told.address = entries_[slot].backend->key.address;
  told.score = key_[slot];
  told.components.tcp += key_[slot] - standing.base;
  const BackendSignals::Connections own = entries_[slot].backend->signals.connections();
  told.open = own.open;
  told.busy = busy(standing, own);
  return told;
}

/// The chosen one and the best of the others, `most` in all.
std::vector<Explained> Pool::explain_all(std::size_t chosen, std::size_t most) const {
  std::vector<std::size_t> slots;
  for (std::size_t slot = 0; slot < key_.size(); ++slot)
    if (key_[slot] != kNotNow && slot != chosen) slots.push_back(slot);
  const std::size_t others = std::min(slots.size(), most - 1);
  const auto better = [this](std::size_t a, std::size_t b) NO_THREAD_SAFETY_ANALYSIS { return key_[a] < key_[b]; };
  std::partial_sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(others), slots.end(), better);
  slots.resize(others);
  slots.insert(slots.begin(), chosen);
  std::vector<Explained> result;
  for (const std::size_t slot : slots) result.push_back(explain(slot));
  return result;
}

/// A few decisions are all kept, of many some: keeping one costs more than making it.
bool Pool::worth_keeping(TimePoint now) {
  const double earned = to_seconds(now - kept_at_) * kKeptPerSecond;
  may_keep_ = std::min(static_cast<double>(kKept), may_keep_ + std::max(0.0, earned));
  kept_at_ = now;
  if (may_keep_ < 1) return false;
  --may_keep_;
  return true;
}

void Pool::keep(std::size_t chosen, TimePoint now) {
  Decision decision;
  decision.number = choices_;
  decision.at = now;
  decision.pool = name;
  decision.policy = policy;
  decision.chosen = entries_[chosen].backend->key.address;
  decision.candidates = static_cast<std::size_t>(
      std::count_if(key_.begin(), key_.end(), [](double key) { return key != kNotNow; }));
  decision.considered = explain_all(chosen, kConsidered);
  if (kept_.size() < kKept)
    kept_.push_back(std::move(decision));
  else
    kept_[kept_count_ % kKept] = std::move(decision);
  ++kept_count_;
}

bool Pool::idle() {
  SpinLock lock(mutex_);
  return all_open_ == 0;
}

std::uint64_t Pool::times_chosen(const Backend& backend) {
  SpinLock lock(mutex_);
  return entries_[backend.signals.slot].chosen;
}

std::vector<Decision> Pool::decisions() {
  SpinLock lock(mutex_);
  std::vector<Decision> newest_first = kept_;
  std::sort(newest_first.begin(), newest_first.end(),
            [](const Decision& a, const Decision& b) { return a.number > b.number; });
  return newest_first;
}

}  // namespace farol::proxy
