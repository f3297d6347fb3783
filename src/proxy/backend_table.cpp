#include "proxy/backend_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace farol::proxy {
namespace {

bool has_score(const Backend& backend) { return backend.has_report() && !backend.agent.silent; }

/// What a back-end without a report of its own counts as: the mean of those that have one, neither best nor worst.
Candidate neutral_candidate(std::span<Backend* const> backends) {
  Candidate mean;
  int count = 0;
  for (const Backend* backend : backends) {
    if (!has_score(*backend)) continue;
    mean.score += backend->score().value();
    mean.unsaturated += backend->score().components.sum();
    ++count;
  }
  if (count > 0) mean = {mean.score / count, mean.unsaturated / count};
  return mean;
}

Candidate candidate_of(const Backend& backend, const Candidate& neutral) {
  if (!has_score(backend)) return {neutral.score, neutral.unsaturated, backend.chosen_at};
  return {backend.score().value(), backend.score().components.sum(), backend.chosen_at};
}

Explained explain(const Backend& backend, const Candidate& candidate) {
  const auto sample = backend.rtt().sample().value_or(Duration::zero());
  return {backend.key.address,          candidate.score,
          to_ms(sample),                backend.load().tcp_machine,
          (backend.load().cpu + 50) / 100, (backend.load().memory + 50) / 100};
}

}  // namespace

BackendTable::BackendTable(Options options) : options_(std::move(options)) {}
BackendTable::~BackendTable() = default;

BackendTable::Pool& BackendTable::pool(std::uint32_t id) {
  const auto [entry, is_new] = pools_.try_emplace(id);
  if (is_new) {
    entry->second.name = fmt::format("#{:08x}", id);
    entry->second.policy = options_.policy;
  }
  return entry->second;
}

void BackendTable::name_pool(const std::string& name) {
  MutexLock lock(mutex_);
  Pool& named = pool(monitoring::pool_id(name));
  named.name = name;
  const auto exception = options_.pool_policies.find(name);
  named.policy = exception == options_.pool_policies.end() ? options_.policy : exception->second;
}

void BackendTable::collect(const Pool& from, std::span<const std::uint64_t> tried, TimePoint now) {
  const auto untried = [&](const Backend& b) { return std::find(tried.begin(), tried.end(), b.id) == tried.end(); };
  const bool silent_too = from.policy != Policy::report;
  eligible_.clear();
  for (Backend* backend : from.members)
    if (backend->eligible(now, silent_too) && untried(*backend)) eligible_.push_back(backend);
  // The last resort: better to try one that looks dead than to turn the client away. The report has none.
  if (eligible_.empty() && silent_too)
    for (Backend* backend : from.members)
      if (backend->permitted() && untried(*backend)) eligible_.push_back(backend);
}

std::optional<Lease> BackendTable::acquire(std::uint32_t pool_id, std::span<const std::uint64_t> tried, TimePoint now,
                                           bool explain_all) {
  MutexLock lock(mutex_);
  const auto entry = pools_.find(pool_id);
  if (entry == pools_.end()) return std::nullopt;
  collect(entry->second, tried, now);
  const Candidate neutral = neutral_candidate(eligible_);
  candidates_.clear();
  for (const Backend* backend : eligible_) candidates_.push_back(candidate_of(*backend, neutral));
  const auto index = choose(candidates_, entry->second.policy);
  if (!index) return std::nullopt;

  Backend& chosen = *eligible_[*index];
  chosen.chosen_at = ++choices_;
  ++chosen.connections_active;
  ++chosen.connections_total;
  Lease lease(*this, chosen);
  lease.score = candidates_[*index].score;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (i != *index) lease.runner_up = std::min(lease.runner_up.value_or(candidates_[i].score), candidates_[i].score);
    if (explain_all) lease.candidates.push_back(explain(*eligible_[i], candidates_[i]));
  }
  return lease;
}

bool BackendTable::ready(TimePoint now) {
  MutexLock lock(mutex_);
  return std::any_of(pools_.begin(), pools_.end(), [&](const auto& entry) {
    const Pool& p = entry.second;
    return std::any_of(p.members.begin(), p.members.end(),
                       [&](const Backend* b) { return b->eligible(now, p.policy != Policy::report); });
  });
}

std::vector<BackendStatus> BackendTable::status(TimePoint now) {
  std::vector<BackendStatus> result;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, backend] : rows_) result.push_back(backend->status(now));
  }
  std::sort(result.begin(), result.end(), [](const BackendStatus& a, const BackendStatus& b) {
    return std::tie(a.pool, a.address) < std::tie(b.pool, b.address);
  });
  return result;
}

ProxyView::Change BackendTable::set_state(const std::string& backend, AdminState state) {
  MutexLock lock(mutex_);
  Backend* found = nullptr;
  for (const auto& [id, row] : rows_) {
    const std::string name = row->name();
    if (backend != name && backend != name + "/" + row->pool_name) continue;
    if (found != nullptr) return ProxyView::Change::ambiguous;
    found = row.get();
  }
  if (found == nullptr) return ProxyView::Change::unknown_backend;
  found->admin = state;
  return ProxyView::Change::done;
}

void BackendTable::release(Backend& backend) {
  MutexLock lock(mutex_);
  --backend.connections_active;
}

void BackendTable::connect_failed(Backend& backend, TimePoint now) {
  MutexLock lock(mutex_);
  const auto& members = pool(backend.key.pool).members;
  const auto ejected = std::count_if(members.begin(), members.end(), [&](auto* b) { return b->is_ejected(now); });
  backend.connect_failed(now, (static_cast<std::size_t>(ejected) + 1) * 2 <= members.size());
}

void BackendTable::connected(Backend& backend) {
  MutexLock lock(mutex_);
  backend.connected();
}

Lease::Lease(Lease&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)),
      backend_(other.backend_),
      address(other.address),
      id(other.id),
      score(other.score),
      runner_up(other.runner_up),
      candidates(std::move(other.candidates)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Lease::~Lease() {
  if (table_ != nullptr) table_->release(*backend_);
}

}  // namespace farol::proxy
