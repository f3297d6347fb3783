#include "proxy/feed.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "proxy/causes.hpp"
#include "proxy/decisions_json.hpp"
#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kDecisionsAtFirst = 16, kDecisionsATick = 8;

std::string id_of(const BackendStatus& backend) {
  return backend.address.text() + "/" + backend.pool;
}

template <typename Value>
float reading(const std::optional<Value>& value) {
  return value ? static_cast<float>(*value) : std::numeric_limits<float>::quiet_NaN();
}

std::string dumped(const json& value) {
  // A pool's name may hold any byte; a JSON text may not.
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::int64_t unix_ms(std::chrono::system_clock::time_point time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::vector<dashboard::Sighting> sightings(const ProxyStatus& status) {
  std::vector<dashboard::Sighting> seen;
  seen.reserve(status.backends.size());
  for (const BackendStatus& backend : status.backends)
    seen.push_back({id_of(backend), to_string(backend.state), cause_of(backend)});
  std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return seen;
}

}  // namespace

void ProxyFeed::sample(TimePoint now, std::chrono::system_clock::time_point wall) {
  ProxyStatus status = proxy_.status();
  std::vector<dashboard::Sighting> seen = sightings(status);

  MutexLock lock(mutex_);
  ++sample_;
  last_ = std::exchange(now_, now);
  wall_ = wall;
  flows_ = flows(status, sample_ > 1 ? to_seconds(now_ - last_) : 0);
  std::vector<dashboard::History::Reading> readings;
  readings.reserve(status.backends.size());
  for (const BackendStatus& b : status.backends) {
    std::string id = id_of(b);
    const float rate = reading(flows_.at(id).rate);
    readings.push_back({std::move(id),
                        {reading(b.score), reading(b.rtt_sample_ms), static_cast<float>(b.loss), reading(b.tcp),
                         reading(b.cpu), reading(b.memory), static_cast<float>(b.connections_active), rate}});
  }
  history_.record(readings, now);
  journal_.look(std::move(seen), wall);
  status_ = std::move(status);
  sheet_.turn();
  snapshot_.reset();
  changes_.reset();
}

std::map<std::string, ProxyFeed::Flow> ProxyFeed::flows(const ProxyStatus& status, double seconds) const {
  std::map<std::string, Flow> result;
  for (const BackendStatus& backend : status.backends) {
    std::string id = id_of(backend);
    Flow flow{backend.connections_total, {}};
    const auto old = flows_.find(id);
    if (old != flows_.end() && seconds > 0 && flow.total >= old->second.total)
      flow.rate = static_cast<double>(flow.total - old->second.total) / seconds;
    result.emplace(std::move(id), flow);
  }
  return result;
}

/// The rows, once for each sample.
void ProxyFeed::render() {
  if (!sheet_.blank()) return;
  const double now_ms = to_ms(status_.uptime);
  dashboard::Sheet::Rows rows;
  for (const BackendStatus& backend : status_.backends) {
    std::string id = id_of(backend);
    json row = backend_json(backend);
    row["id"] = id;
    if (backend.score) row["score"] = rounded(*backend.score);
    row["cause"] = cause_of(backend);
    row["ordered"] = to_string(backend.ordered);
    const Flow& flow = flows_.at(id);
    row["rate"] = flow.rate ? json(rounded(*flow.rate)) : json();
    row.erase("report_age_ms");
    row["reported_at_ms"] = backend.report_age ? json(std::round(now_ms - to_ms(*backend.report_age))) : json();
    const bool ejected = backend.ejected_for > Duration::zero();
    row["ejected_until_ms"] = ejected ? json(std::round(now_ms + to_ms(backend.ejected_for))) : json();
    rows.emplace(std::move(id), dumped(row));
  }
  sheet_.fill(std::move(rows));
}

/// Everything but the lists, without its closing brace.
std::string ProxyFeed::head() const {
  json summary = summary_json(status_);
  summary["kind"] = "proxy";
  summary["now_ms"] = rounded(to_ms(status_.uptime));
  summary["wall_ms"] = unix_ms(wall_);
  std::string text = dumped(summary);
  text.pop_back();
  return text;
}

/// The newest `most` after a moment, newest first.
std::string ProxyFeed::told(const std::vector<Decision>& decisions, std::size_t most, TimePoint after) const {
  json list = json::array();
  for (const Decision& decision : decisions) {
    if (list.size() == most || decision.at <= after) break;
    list.push_back(decision_json(decision));
    const auto ago = std::chrono::duration_cast<std::chrono::system_clock::duration>(now_ - decision.at);
    list.back()["at_ms"] = unix_ms(wall_ - ago);
  }
  return dumped(list);
}

ProxyFeed::Text ProxyFeed::text(std::string json) const {
  return {sample_, std::make_shared<const std::string>(std::move(json))};
}

ProxyFeed::Text ProxyFeed::snapshot() {
  const std::vector<Decision> decisions = proxy_.decisions();
  MutexLock lock(mutex_);
  if (!snapshot_) {
    render();
    snapshot_ = text(head() + ",\"backends\":" + sheet_.all() + ",\"events\":" + events_json(journal_, 0) +
                     ",\"decisions\":" + told(decisions, kDecisionsAtFirst, TimePoint::min()) + "}");
  }
  return *snapshot_;
}

ProxyFeed::Text ProxyFeed::changes() {
  const std::vector<Decision> decisions = proxy_.decisions();
  MutexLock lock(mutex_);
  if (!changes_) {
    render();
    changes_ = text(head() + ",\"changed\":" + sheet_.changed() + ",\"gone\":" + sheet_.gone() + ",\"events\":" +
                    events_json(journal_, journal_.before_last_look()) + ",\"decisions\":" +
                    told(decisions, kDecisionsATick, last_) + "}");
  }
  return *changes_;
}

std::optional<std::string> ProxyFeed::history(const std::string& id) {
  MutexLock lock(mutex_);
  return history_json(history_, id, kSeries, wall_);
}

}  // namespace farol::proxy
