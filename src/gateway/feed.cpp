#include "gateway/feed.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "gateway/status_json.hpp"
#include "gateway/window.hpp"

namespace farol::gateway {
namespace {

using dashboard::reading;
using nlohmann::json;

json number(const std::optional<double>& value) { return value ? json(std::round(*value * 10) / 10) : json(); }

/// How it must have gone, when it is gone from one look to the next.
const char* farewell_of(const ServerStatus& server) {
  return server.state == ServerState::down ? "nothing was heard from it for ten minutes" : "it said goodbye";
}

std::vector<dashboard::Sighting> sightings(const PoolStatus& pool) {
  std::vector<dashboard::Sighting> seen;
  for (const ServerStatus& server : pool.servers)
    seen.push_back({server.name, condition_of(server), cause_of(server), farewell_of(server)});
  return seen;
}

}  // namespace

const char* condition_of(const ServerStatus& server) {
  if (server.undelivered) return "left out";
  return server.state == ServerState::suspect ? "silent" : to_string(server.state);
}

const char* cause_of(const ServerStatus& server) {
  if (server.undelivered) return "it is heard, but its chunks do not arrive (do large packets pass?)";
  switch (server.state) {
    case ServerState::up:
      return "its heartbeats come";
    case ServerState::suspect:
      return "nothing was heard from it for three seconds: others are asked for what it owed";
    case ServerState::down:
      return "nothing was heard from it for five seconds";
  }
  return "";
}

void GatewayFeed::sample(TimePoint now, WallTime wall) {
  GatewayStatus status = gateway_.status();
  std::vector<dashboard::Sighting> seen = sightings(status.pool);

  MutexLock lock(mutex_);
  flows_ = flows(status.pool, turn(now, wall));
  std::vector<dashboard::History::Reading> readings;
  for (const ServerStatus& s : status.pool.servers) {
    const Flow& flow = flows_.at(s.name);
    readings.push_back({s.name,
                        {reading(flow.rate), static_cast<float>(s.bytes_per_second), static_cast<float>(to_ms(s.rtt)),
                         static_cast<float>(s.in_flight), static_cast<float>(s.window), reading(flow.lost_rate),
                         reading(flow.duplicate_rate)}});
  }
  post(std::move(seen), readings);
  status_ = std::move(status);
}

std::map<std::string, GatewayFeed::Flow> GatewayFeed::flows(const PoolStatus& pool, double seconds) const {
  std::map<std::string, Flow> result;
  for (const ServerStatus& server : pool.servers) {
    Flow flow{server.chunks, server.lost, server.duplicates, {}, {}, {}};
    const auto old = flows_.find(server.name);
    if (old != flows_.end() && seconds > 0 && flow.chunks >= old->second.chunks && flow.lost >= old->second.lost) {
      const auto per_second = [seconds](std::uint64_t now, std::uint64_t before) {
        return static_cast<double>(now - std::min(now, before)) / seconds;
      };
      flow.rate = per_second(flow.chunks, old->second.chunks) * kChunkSize;
      flow.lost_rate = per_second(flow.lost, old->second.lost);
      flow.duplicate_rate = per_second(flow.duplicates, old->second.duplicates);
    }
    result.emplace(server.name, flow);
  }
  return result;
}

dashboard::Sheet::Rows GatewayFeed::rows() const {
  const double now_ms = to_ms(status_.uptime);
  dashboard::Sheet::Rows rows;
  for (const ServerStatus& server : status_.pool.servers) {
    const Flow& flow = flows_.at(server.name);
    json row = server_json(server);
    row["id"] = server.name;
    row["state"] = condition_of(server);
    row["cause"] = cause_of(server);
    row["rate"] = number(flow.rate);
    row["lost_rate"] = number(flow.lost_rate);
    row["duplicate_rate"] = number(flow.duplicate_rate);
    row.erase("heard_ms_ago");
    row["heard_at_ms"] = std::round(now_ms - to_ms(server.heard_ago));
    rows.emplace(server.name, json_text(row));
  }
  return rows;
}

json GatewayFeed::summary() const {
  json summary = summary_json(status_);
  summary["kind"] = "gateway";
  summary["now_ms"] = std::round(to_ms(status_.uptime));
  return summary;
}

}  // namespace farol::gateway
