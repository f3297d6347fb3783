#include "gateway/status_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "common/program.hpp"

namespace farol::gateway {
namespace {

using nlohmann::json;

json counts(const std::vector<Count>& list) {
  json result = json::object();
  for (const Count& each : list) result[each.reason] = each.count;
  return result;
}

json answers(const std::vector<std::pair<int, std::uint64_t>>& list) {
  json result = json::object();
  for (const auto& [code, count] : list) result[code > 0 ? std::to_string(code) : "other"] = count;
  return result;
}

json transfers(const std::vector<TransferStatus>& list) {
  json result = json::array();
  for (const TransferStatus& each : list)
    result.push_back({{"id", each.id},
                      {"path", each.path},
                      {"age_ms", std::round(to_ms(each.age))},
                      {"found", each.found},
                      {"given", each.given},
                      {"wanted", each.wanted},
                      {"servers", each.servers},
                      {"asked_again", each.asked_again}});
  return result;
}

/// Three decimals: what a reader can use.
double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

json server_json(const ServerStatus& server) {
  return {{"name", server.name},
          {"address", server.address.text()},
          {"state", to_string(server.state)},
          {"left_out", server.left_out},
          {"undelivered", server.undelivered},
          {"heard_ms_ago", rounded(to_ms(server.heard_ago))},
          {"rtt_ms", rounded(to_ms(server.rtt))},
          {"bytes_per_second", std::round(server.bytes_per_second)},
          {"chunks",
           {{"in_flight", server.in_flight},
            {"window", server.window},
            {"received", server.chunks},
            {"lost", server.lost},
            {"duplicate", server.duplicates}}}};
}

json summary_json(const GatewayStatus& status) {
  const PoolStatus& pool = status.pool;
  return {{"version", kVersion},
          {"uptime_s", rounded(to_seconds(status.uptime))},
          {"engine", status.engine},
          {"ready", pool.ready},
          {"draining", status.draining},
          {"connections",
           {{"active", status.connections_active},
            {"max", status.connections_most},
            {"refused", status.connections_refused}}},
          {"requests", answers(status.answers)},
          {"bytes", status.bytes},
          {"transfers", pool.transfers},
          {"transfers_total", pool.transfers_total},
          {"transfers_failed", counts(pool.failed)},
          {"longest_transfers", transfers(pool.longest)},
          {"datagrams", {{"dropped", counts(pool.dropped)}, {"socket_full", pool.socket_drops}}},
          {"log", {{"lines_dropped", status.log_lines_dropped}}}};
}

std::string status_json(const GatewayStatus& status) {
  json all = summary_json(status);
  json& servers = all["servers"] = json::array();
  for (const ServerStatus& server : status.pool.servers) servers.push_back(server_json(server));
  return json_text(all) + "\n";
}

}  // namespace farol::gateway
