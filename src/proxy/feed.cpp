#include "proxy/feed.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "proxy/causes.hpp"
#include "proxy/decisions_json.hpp"
#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using dashboard::reading;
using nlohmann::json;

constexpr std::size_t kDecisionsAtFirst = 16, kDecisionsATick = 8;

std::string id_of(const BackendStatus& backend) {
  return backend.address.text() + "/" + backend.pool;
}

std::vector<dashboard::Sighting> sightings(const ProxyStatus& status) {
  std::vector<dashboard::Sighting> seen;
  seen.reserve(status.backends.size());
  for (const BackendStatus& backend : status.backends)
    seen.push_back({id_of(backend), to_string(backend.state), cause_of(backend), farewell_of(backend)});
  return seen;
}

}  // namespace

void ProxyFeed::sample(TimePoint now, WallTime wall) {
  ProxyStatus status = proxy_.status();
  std::vector<dashboard::Sighting> seen = sightings(status);

  MutexLock lock(mutex_);
  flows_ = flows(status, turn(now, wall));
  std::vector<dashboard::History::Reading> readings;
  readings.reserve(status.backends.size());
  for (const BackendStatus& b : status.backends) {
    std::string id = id_of(b);
    const float rate = reading(flows_.at(id).rate);
    readings.push_back({std::move(id),
                        {reading(b.score), reading(b.rtt_sample_ms), static_cast<float>(b.loss), reading(b.tcp),
                         reading(b.cpu), reading(b.memory), static_cast<float>(b.connections_active), rate}});
  }
  post(std::move(seen), readings);
  status_ = std::move(status);
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

dashboard::Sheet::Rows ProxyFeed::rows() const {
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
    rows.emplace(std::move(id), json_text(row));
  }
  return rows;
}

json ProxyFeed::summary() const {
  json summary = summary_json(status_);
  summary["kind"] = "proxy";
  summary["now_ms"] = rounded(to_ms(status_.uptime));
  return summary;
}

/// The newest choices, newest first.
json ProxyFeed::lists(TimePoint since) const {
  const std::size_t most = since == TimePoint::min() ? kDecisionsAtFirst : kDecisionsATick;
  json decisions = json::array();
  for (const Decision& decision : proxy_.decisions()) {
    if (decisions.size() == most || decision.at <= since) break;
    decisions.push_back(decision_json(decision));
    const auto ago = std::chrono::duration_cast<std::chrono::system_clock::duration>(now() - decision.at);
    decisions.back()["at_ms"] = unix_ms(wall() - ago);
  }
  return {{"decisions", std::move(decisions)}};
}

}  // namespace farol::proxy
