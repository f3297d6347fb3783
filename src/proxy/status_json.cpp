#include "proxy/status_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/program.hpp"

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

json backend_json(const BackendStatus& backend) {
  const bool ejected = backend.ejected_for > Duration::zero();
  const auto age = backend.report_age ? std::optional(to_ms(*backend.report_age)) : std::nullopt;
  return {
      {"address", backend.address.text()},
      {"pool", backend.pool},
      {"source", to_string(backend.source)},
      {"state", to_string(backend.state)},
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

}  // namespace

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

json components_json(const ScoreComponents& parts) {
  return {{"rtt", rounded(parts.rtt)}, {"tcp", rounded(parts.tcp)},       {"loss", rounded(parts.loss)},
          {"cpu", rounded(parts.cpu)}, {"memory", rounded(parts.memory)}, {"doubt", rounded(parts.doubt)}};
}

std::string status_json(const ProxyStatus& status) {
  json backends = json::array();
  for (const BackendStatus& backend : status.backends) backends.push_back(backend_json(backend));
  const json all = {
      {"version", kVersion},
      {"uptime_s", rounded(to_seconds(status.uptime))},
      {"engine", status.engine},
      {"policy", status.policy},
      {"ready", status.ready},
      {"draining", status.draining},
      {"connections",
       {{"active", status.connections_active},
        {"waiting", status.connections_waiting},
        {"max", status.connections_most},
        {"total", status.connections_total},
        {"rejected", counters(status.rejected)}}},
      {"bytes", {{"in", status.bytes_in}, {"out", status.bytes_out}}},
      {"monitoring", {{"dropped", counters(status.dropped_packets)}}},
      {"backends", std::move(backends)},
  };
  return all.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace farol::proxy
