#include "proxy/pool.hpp"

#include <algorithm>

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

void Pool::publish(const Backend& backend, const Standing& standing) {
  SpinLock lock(mutex_);
  const std::size_t slot = backend.signals.slot;
  set_tier(slot, standing.tier);
  entries_[slot].standing = standing;
  share_[slot] = standing.share;
  revalue(slot);
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
  key_[slot] = entry.standing.tier == exposed_ ? entry.standing.base + entry.standing.per_load * load : kNotNow;
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

/// After a failed attempt: without those that were tried, tier by tier.
std::optional<Pick> Pool::pick_untried(const Request& request) {
  std::optional<Pick> found;
  for (Tier tier = exposed_; !found && tier != Tier::never; tier = static_cast<Tier>(static_cast<int>(tier) + 1)) {
    if (tier != exposed_) expose(tier);
    for (std::size_t slot = 0; slot < entries_.size(); ++slot)
      if (std::find(request.tried.begin(), request.tried.end(), entries_[slot].backend->id) != request.tried.end())
        key_[slot] = kNotNow;
    found = pick(request);
  }
  return found;
}

std::optional<Pool::Choice> Pool::choose(const Request& request) {
  SpinLock lock(mutex_);
  changed.take(entries_.size(), [this](std::size_t slot) NO_THREAD_SAFETY_ANALYSIS { revalue(slot); });
  const Tier exposed = exposed_;
  const std::optional<Pick> picked = request.tried.empty() ? pick(request) : pick_untried(request);
  std::optional<Choice> choice;
  if (picked) {
    const std::size_t slot = picked->index;
    choice.emplace();
    choice->backend = entries_[slot].backend;
    choice->score = key_[slot];
    choice->runner_up = picked->runner_up;
    if (request.explained != nullptr) *request.explained = explain_all(slot, entries_.size());
    chosen_at_[slot] = ++choices_;
    if (worth_keeping(request.now)) keep(slot, request.now);
    choice->backend->signals.opened();
    ++entries_[slot].chosen;
    if (request.tried.empty()) revalue(slot);
  }
  if (!request.tried.empty()) expose(exposed);
  return choice;
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
