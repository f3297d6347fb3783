#include "proxy/backend_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace farol::proxy {
namespace {

Explained told_of(const Backend& backend, Policy policy, TimePoint now) {
  const Estimates& known = backend.estimates();
  const monitoring::Load& load = known.load();
  Explained told;
  told.state = backend.state(now);
  told.rtt_ms = to_ms(known.rtt().sample().value_or(Duration::zero()));
  told.tcp = policy == Policy::report ? load.tcp_machine : load.tcp_service;
  told.cpu = (load.cpu + 50) / 100;
  told.memory = (load.memory + 50) / 100;
  return told;
}

/// The order of `report`: by the score, and among the saturated by the sum behind it, so there is always a best one. A
/// billionth of the sum decides among equals and nothing else.
double report_key(const Score& score) {
  return score.saturated ? kSaturatedScore + 1e-9 * score.components.sum() : score.value();
}

/// The key of one back-end as a line over its own load, and what it is made of without own load.
void rate(Standing& standing, const Backend& backend, const Pool& pool, const WeightedConfig& config, TimePoint now) {
  switch (pool.policy) {
    case Policy::weighted: {
      LoadView view = backend.load_view(now);
      view.open = view.busy = 0;
      const WeightedScore score = weighted_score(view, pool.view, config);
      standing.base = score.base;
      standing.per_load = score.per_load;
      standing.told.components = score.components;
      return;
    }
    case Policy::report: {
      const Score score = backend.estimates().report_score();
      standing.base = backend.estimates().has_report() ? report_key(score) : pool.report_mean;
      standing.told.components = score.components;
      return;
    }
    case Policy::least_connections:
      standing.base = standing.per_load = standing.told.components.tcp = 1 / standing.share;
      return;
    case Policy::round_robin:
    case Policy::source_hash: return;
  }
}

/// While nobody uses a pool, what changes by itself may be looked at less often.
Duration view_interval(Pool& pool) { return pool.idle() && pool.waiting() == 0 ? kIdleTick : kTick; }

}  // namespace

BackendTable::BackendTable(Options options) : options_(std::move(options)) {}
BackendTable::~BackendTable() = default;

Pool& BackendTable::pool(std::uint32_t id, const std::string& name) {
  if (const auto found = pools_.find(id); found != pools_.end()) {
    Pool& known = found->second;
    if (!name.empty() && known.name != name) {  // so far only its agents spoke of it
      known.call(name);
      known.change_rules(policy_of(name), options_.weighted);
    }
    return known;
  }
  return pools_
      .try_emplace(id, name.empty() ? fmt::format("#{:08x}", id) : name, policy_of(name), options_.weighted,
                   options_.max_backends)
      .first->second;
}

Policy BackendTable::policy_of(const std::string& pool) const {
  const auto exception = options_.pool_policies.find(pool);
  return exception == options_.pool_policies.end() ? options_.policy : exception->second;
}

void BackendTable::change_rules(Options options, TimePoint now) {
  MutexLock lock(mutex_);
  options.max_backends = options_.max_backends;
  options_ = std::move(options);
  for (const auto& [id, row] : rows_) {
    row->require_agent = options_.require_agent;
    if (row->source == Source::agent) row->max_connections = options_.max_connections;
  }
  for (auto& [id, pool] : pools_) {
    pool.change_rules(policy_of(pool.name), options_.weighted);
    refresh_all(pool, now);
  }
}

Pool& BackendTable::name_pool(const std::string& name) {
  MutexLock lock(mutex_);
  return pool(monitoring::pool_id(name), name);
}

std::optional<Lease> BackendTable::acquire(Pool& pool, const Request& request) {
  auto choice = pool.choose(request);
  if (!choice) return std::nullopt;
  return std::optional<Lease>(std::in_place, *this, *choice, request.now);
}

void BackendTable::publish(Backend& backend, Pool& pool, TimePoint now) {
  Standing standing;
  standing.tier = backend.tier(now, pool.policy);
  standing.backup = backend.backup;
  const LoadView view = backend.load_view(now);
  standing.share = view.weight * view.ramp;
  standing.most = backend.max_connections;
  standing.flowing = backend.estimates().flowing();
  standing.told = told_of(backend, pool.policy, now);
  standing.told.ramp = view.ramp;
  standing.reported_at = backend.estimates().report_at();
  rate(standing, backend, pool, options_.weighted, now);
  pool.publish(backend, standing, now);
}

void BackendTable::refresh(Backend& backend, TimePoint now) {
  looks_.bring_forward(backend, backend.next_alarm());
  Pool& own = pool(backend.key.pool, {});
  if (now - own.viewed_at >= view_interval(own)) return refresh_all(own, now);
  backend.enter(backend.tier(now, own.policy) <= Tier::backup, own.settled, now);
  publish(backend, own, now);
}

void BackendTable::refresh_all(Pool& pool, TimePoint now) {
  const double ticks = to_seconds(now - pool.viewed_at) / to_seconds(kTick);
  pool.viewed_at = now;
  std::vector<LoadView> views;
  double reports = 0, report_sum = 0;
  bool settled = false;
  for (Backend* backend : pool.members) {
    backend->take_signals(ticks, now);
    const bool eligible = backend->tier(now, pool.policy) <= Tier::backup;
    backend->enter(eligible, pool.settled, now);
    settled = settled || backend->entered_before(now - options_.weighted.slow_start);
    if (!eligible) continue;
    views.push_back(backend->load_view(now));
    if (!backend->estimates().has_report()) continue;
    ++reports;
    report_sum += backend->estimates().report_score().value();
  }
  pool.report_mean = report_sum / std::max(1.0, reports);
  pool.settled = settled;
  pool.view = survey(views, options_.weighted);
  for (Backend* backend : pool.members) publish(*backend, pool, now);
}

void BackendTable::tick(TimePoint now) {
  MutexLock lock(mutex_);
  for (auto& [id, pool] : pools_) refresh_all(pool, now);
}

void BackendTable::tick_if_due(TimePoint now) {
  MutexLock lock(mutex_);
  for (auto& [id, pool] : pools_)
    if (now - pool.viewed_at >= view_interval(pool)) refresh_all(pool, now);
}

bool BackendTable::ready(TimePoint now) {
  MutexLock lock(mutex_);
  return std::any_of(rows_.begin(), rows_.end(), [&](const auto& row) NO_THREAD_SAFETY_ANALYSIS {
    const Backend& backend = *row.second;
    return options_.served.contains(backend.pool_name) &&
           backend.tier(now, pools_.at(backend.key.pool).policy) <= Tier::backup;
  });
}

std::size_t BackendTable::waiting() {
  MutexLock lock(mutex_);
  std::size_t all = 0;
  for (const auto& [id, pool] : pools_) all += pool.waiting();
  return all;
}

std::vector<BackendStatus> BackendTable::status(TimePoint now) {
  std::vector<BackendStatus> result;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, backend] : rows_) {
      Pool& own = pools_.at(backend->key.pool);
      BackendStatus status = backend->status(now);
      status.connections_total = own.times_chosen(*backend);
      status.pool_served = options_.served.contains(own.name);
      if (own.policy == Policy::weighted) {
        status.components = weighted_score(backend->load_view(now), own.view, options_.weighted).components;
        status.score = status.components.sum();
      } else if (own.policy == Policy::report && backend->estimates().has_report()) {
        const Score score = backend->estimates().report_score();
        status.components = score.components;
        status.score = score.value();
      }
      result.push_back(std::move(status));
    }
  }
  std::sort(result.begin(), result.end(), [](const BackendStatus& a, const BackendStatus& b) {
    return std::tie(a.pool, a.address) < std::tie(b.pool, b.address);
  });
  return result;
}

std::vector<PoolStatus> BackendTable::pools() {
  std::vector<PoolStatus> result;
  MutexLock lock(mutex_);
  for (auto& [id, pool] : pools_) {
    const PoolMeters& meters = pool.meters;
    PoolStatus& told = result.emplace_back();
    told.name = pool.name;
    told.policy = to_string(pool.policy);
    told.waiting = pool.waiting();
    const auto choices = pool.choices();
    for (std::size_t i = 0; i < kReasons; ++i) told.decisions.push_back({to_string(static_cast<Reason>(i)), choices[i]});
    told.connect_failures = meters.connect_failures.load(std::memory_order_relaxed);
    told.probes_lost = meters.probes_lost.load(std::memory_order_relaxed);
    told.connect_time = meters.connect_time.counts();
    told.session_time = meters.session_time.counts();
    told.first_byte = meters.first_byte.counts();
    told.probe_rtt = meters.probe_rtt.counts();
  }
  return result;
}

std::vector<Decision> BackendTable::decisions() {
  std::vector<Decision> all;
  {
    MutexLock lock(mutex_);
    for (auto& [id, pool] : pools_)
      for (Decision& decision : pool.decisions()) all.push_back(std::move(decision));
  }
  std::stable_sort(all.begin(), all.end(), [](const Decision& a, const Decision& b) { return a.at > b.at; });
  return all;
}

ProxyView::Change BackendTable::set_state(const std::string& backend, AdminState state, TimePoint now,
                                          std::optional<Duration> close_over) {
  MutexLock lock(mutex_);
  Backend* found = nullptr;
  for (const auto& [id, row] : rows_) {
    const std::string name = row->name();
    if (backend != name && backend != name + "/" + row->pool_name) continue;
    if (row->agent.leaving && found != nullptr) continue;  // one that has come back is meant
    if (found != nullptr && !found->agent.leaving) return ProxyView::Change::ambiguous;
    found = row.get();
  }
  if (found == nullptr) return ProxyView::Change::unknown_backend;
  found->admin = state;
  if (state == AdminState::ready)
    orders_.erase(found->key);
  else
    orders_[found->key] = state;
  close_over ? found->signals.close_all(now, *close_over) : found->signals.close_none();
  refresh(*found, now);
  return ProxyView::Change::done;
}

BackendTable::Orders BackendTable::orders() {
  MutexLock lock(mutex_);
  return orders_;
}

void BackendTable::take_orders(Orders orders) {
  MutexLock lock(mutex_);
  orders_ = std::move(orders);
}

void BackendTable::connect_failed(Backend& backend, TimePoint now) {
  MutexLock lock(mutex_);
  backend.pool->meters.connect_failures.fetch_add(1, std::memory_order_relaxed);
  const auto& members = pool(backend.key.pool, {}).members;
  const auto ejected = std::count_if(members.begin(), members.end(), [&](auto* b) { return b->is_ejected(now); });
  backend.connect_failed(now, (static_cast<std::size_t>(ejected) + 1) * 2 <= members.size());
  refresh(backend, now);
}

void BackendTable::closed_early(Backend& backend, TimePoint now) {
  MutexLock lock(mutex_);
  backend.closed_early(now);
  refresh(backend, now);
}

Lease::Lease(BackendTable& table, const Choice& choice, TimePoint now)
    : table_(&table),
      backend_(choice.backend),
      meter_(backend_->signals, now),
      score(choice.score),
      runner_up(choice.runner_up) {}

void Lease::connected(TimePoint now) {
  meter_.connected(now);
  backend_->pool->meters.connect_time.observe(meter_.connect_time());
}

void Lease::ended(std::uint64_t bytes_in, std::uint64_t bytes_out, Duration session) const {
  backend_->signals.carried(bytes_in, bytes_out);
  backend_->pool->meters.session_time.observe(session);
}

}  // namespace farol::proxy
