#include "proxy/status_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/json_text.hpp"
#include "common/program.hpp"
#include "proxy/causes.hpp"

namespace farol::proxy {
namespace {

using nlohmann::json;

template <typename Value>
json optional(const std::optional<Value>& value) {
  return value ? json(*value) : json();
}

json milliseconds(const std::optional<double>& value) {
  return value ? json(rounded(*value)) : json();
}

json counters(const std::vector<Counter>& list) {
  json result = json::object();
  for (const Counter& counter : list) result[counter.reason] = counter.count;
  return result;
}

json no_components() {
  json none = components_json({});
  for (json& part : none) part = nullptr;
  return none;
}

json age_ms(const Duration& age) { return rounded(to_ms(age)); }

json ages_ms(const std::vector<Counter>& list) {
  json result = json::object();
  for (const Counter& counter : list)
    if (counter.last_age) result[counter.reason] = age_ms(*counter.last_age);
  return result;
}

/// What only those need who look for what is wrong: it is not sent with every change.
json monitoring_json(const ProxyStatus& status) {
  json drops = json::object(), unanswered = json::array();
  for (const LastDrop& drop : status.monitoring.last_drops)
    drops[drop.reason] = {{"peer", drop.peer.text()}, {"age_ms", age_ms(drop.age)}};
  for (const UnansweredAgent& each : status.monitoring.unanswered)
    unanswered.push_back({{"agent", each.agent.text()},
                          {"service_port", each.service_port},
                          {"registers", each.registers},
                          {"first_age_ms", age_ms(each.first_age)},
                          {"age_ms", age_ms(each.age)}});
  return {{"dropped", counters(status.dropped_packets)},
          {"last_dropped", std::move(drops)},
          {"unanswered", std::move(unanswered)},
          {"address", status.monitoring.address},
          {"keys", status.monitoring.keys},
          {"allow", status.monitoring.allowed}};
}

json limits_json(const ProxyStatus& status) {
  return {{"connections", status.connections_fit},
          {"bound_by", status.bound_by},
          {"open_files", status.descriptors_most},
          {"threads", status.threads_most},
          {"queue", status.queue_most}};
}

json agent_json(const BackendStatus& backend) {
  if (backend.source != Source::agent) return nullptr;
  const auto age = backend.register_age ? std::optional(to_ms(*backend.register_age)) : std::nullopt;
  return {{"address", backend.agent.text()},
          {"silent", backend.agent_silent},
          {"listening", backend.listening},
          {"register_age_ms", milliseconds(age)}};
}

json full_backend_json(const BackendStatus& backend) {
  json row = backend_json(backend);
  row["cause"] = cause_of(backend);
  row["ordered"] = to_string(backend.ordered);
  row["leaving"] = backend.leaving ? json(to_string(backend.departure)) : json();
  row["agent"] = agent_json(backend);
  row["probes"] = {
      {"sent", backend.probes_sent}, {"answered", backend.probes_answered}, {"lost", backend.probes_lost}};
  row["service"] = !backend.service_failed ? json() : json(backend.service_unanswered ? "unreachable" : "refused");
  return row;
}

}  // namespace

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

json components_json(const ScoreComponents& parts) {
  return {{"rtt", rounded(parts.rtt)}, {"tcp", rounded(parts.tcp)},       {"loss", rounded(parts.loss)},
          {"cpu", rounded(parts.cpu)}, {"memory", rounded(parts.memory)}, {"doubt", rounded(parts.doubt)}};
}

json backend_json(const BackendStatus& backend) {
  const bool ejected = backend.ejected_for > Duration::zero();
  const auto age = backend.report_age ? std::optional(to_ms(*backend.report_age)) : std::nullopt;
  return {
      {"address", backend.address.text()},
      {"pool", backend.pool},
      {"pool_served", backend.pool_served},
      {"source", to_string(backend.source)},
      {"state", to_string(backend.state)},
      {"backup", backend.backup},
      {"weight", rounded(backend.weight)},
      {"slow_start", backend.slow_start ? json(rounded(*backend.slow_start)) : json()},
      {"score", optional(backend.score)},
      {"components", backend.score ? components_json(backend.components) : no_components()},
      {"rtt_ms",
       {{"sample", milliseconds(backend.rtt_sample_ms)}, {"estimated", milliseconds(backend.rtt_estimated_ms)}}},
      {"loss", backend.loss},
      {"tcp", optional(backend.tcp)},
      {"tcp_service", optional(backend.tcp_service)},
      {"cpu", optional(backend.cpu)},
      {"memory", optional(backend.memory)},
      {"report_age_ms", milliseconds(age)},
      {"connections",
       {{"active", backend.connections_active},
        {"max", backend.connections_most > 0 ? json(backend.connections_most) : json()},
        {"total", backend.connections_total},
        {"failed", backend.connections_failed}}},
      {"ejected_until_ms", ejected ? json(rounded(to_ms(backend.ejected_for))) : json()},
      {"conflicts", backend.conflicts},
  };
}

json summary_json(const ProxyStatus& status) {
  return {
      {"version", kVersion},
      {"uptime_s", rounded(to_seconds(status.uptime))},
      {"engine", status.engine},
      {"policy", status.policy},
      {"ready", status.ready},
      {"draining", status.draining},
      {"reloads", {{"done", status.reloads_done}, {"failed", status.reloads_failed}}},
      {"connections",
       {{"active", status.connections_active},
        {"waiting", status.connections_waiting},
        {"max", status.connections_most},
        {"total", status.connections_total},
        {"rejected", counters(status.rejected)}}},
      {"bytes", {{"in", status.bytes_in}, {"out", status.bytes_out}}},
      {"monitoring", {{"dropped", counters(status.dropped_packets)}}},
      {"log", {{"lines_dropped", status.log_lines_dropped}}},
  };
}

std::string status_json(const ProxyStatus& status) {
  json all = summary_json(status);
  json& backends = all["backends"] = json::array();
  for (const BackendStatus& backend : status.backends) backends.push_back(full_backend_json(backend));
  json& pools = all["pools"] = json::array();
  for (const PoolStatus& pool : status.pools)
    pools.push_back({{"name", pool.name}, {"policy", pool.policy}, {"waiting", pool.waiting}});
  all["connections"]["ended"] = counters(status.ended);
  all["connections"]["last_rejected_ms"] = ages_ms(status.rejected);
  json& listeners = all["listeners"] = json::array();
  for (const ListenerStatus& listener : status.listeners)
    listeners.push_back({{"address", listener.address.text()}, {"pool", listener.pool}});
  all["monitoring"] = monitoring_json(status);
  all["limits"] = limits_json(status);
  return json_text(all) + "\n";
}

}  // namespace farol::proxy
