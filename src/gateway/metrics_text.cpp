#include "gateway/metrics_text.hpp"

#include "common/metrics_page.hpp"
#include "common/process_metrics.hpp"
#include "common/program.hpp"

namespace farol::gateway {
namespace {

using enum MetricType;

double count(std::uint64_t number) { return static_cast<double>(number); }

/// A metric with one sample for each file server.
struct ServerMetric {
  const char* name;
  MetricType type;
  const char* help;
  double (*of)(const ServerStatus&);
};

constexpr ServerMetric kServerMetrics[] = {
    {"farol_gateway_server_undelivered", gauge, "1 while it is heard but its chunks do not arrive.",
     [](const ServerStatus& s) { return s.undelivered ? 1.0 : 0.0; }},
    {"farol_gateway_server_heard_age_seconds", gauge, "Time since anything was heard from it.",
     [](const ServerStatus& s) { return to_seconds(s.heard_ago); }},
    {"farol_gateway_server_rtt_seconds", gauge, "Smoothed round trip to it.",
     [](const ServerStatus& s) { return to_seconds(s.rtt); }},
    {"farol_gateway_server_rate_bytes_per_second", gauge, "What it can deliver, as far as was seen.",
     [](const ServerStatus& s) { return s.bytes_per_second; }},
    {"farol_gateway_server_chunks_in_flight", gauge, "Chunks that it was asked for and owes.",
     [](const ServerStatus& s) { return count(s.in_flight); }},
    {"farol_gateway_server_chunks_window", gauge, "Chunks that it may owe at once.",
     [](const ServerStatus& s) { return count(s.window); }},
    {"farol_gateway_server_chunks_total", counter, "Chunks that came from it.",
     [](const ServerStatus& s) { return count(s.chunks); }},
    {"farol_gateway_server_chunks_lost_total", counter, "Chunks that it was asked for and that were given up.",
     [](const ServerStatus& s) { return count(s.lost); }},
    {"farol_gateway_server_chunks_duplicate_total", counter, "Chunks from it that were here already.",
     [](const ServerStatus& s) { return count(s.duplicates); }},
};
constexpr ServerState kStates[] = {ServerState::up, ServerState::suspect, ServerState::down};

void by_reason(MetricsPage& page, const char* name, const char* help, const std::vector<Count>& counts) {
  page.family(name, counter, help);
  for (const Count& each : counts) page.sample(label("reason", each.reason), each.count);
}

void add_process(MetricsPage& page, const GatewayStatus& status, const ProcessFigures& process) {
  page.family("farol_gateway_build_info", gauge, "1, labelled with the version.");
  page.sample(label("version", kVersion), std::uint64_t{1});
  page.family("farol_gateway_config_info", gauge, "1, labelled with the engine.");
  page.sample(label("engine", status.engine), std::uint64_t{1});
  add_process_metrics(page, "farol_gateway_process", process, status.started, status.uptime);
  page.single("farol_gateway_log_lines_dropped_total", counter, "Log lines that could not be written.",
              count(status.log_lines_dropped));
  page.single("farol_gateway_ready", gauge, "1 while a file server is up.", status.pool.ready ? 1 : 0);
  page.single("farol_gateway_draining", gauge, "1 while the gateway is stopping.", status.draining ? 1 : 0);
}

void add_clients(MetricsPage& page, const GatewayStatus& status) {
  page.single("farol_gateway_connections_active", gauge, "Clients being served.", count(status.connections_active));
  page.single("farol_gateway_connections_limit", gauge, "Clients that may be served at once.",
              count(status.connections_most));
  page.single("farol_gateway_connections_refused_total", counter, "Clients closed at once, for there were so many.",
              count(status.connections_refused));
  page.family("farol_gateway_requests_total", counter, "Requests answered, by status.");
  for (const auto& [code, answered] : status.answers)
    page.sample(label("code", code > 0 ? std::to_string(code) : "other"), answered);
  page.single("farol_gateway_bytes_total", counter, "Bytes of files given to clients.", count(status.bytes));
}

void add_transfers(MetricsPage& page, const GatewayStatus& status) {
  const PoolStatus& pool = status.pool;
  const auto times = [&](const char* name, const char* help, const HistogramCounts& counts) {
    page.family(name, histogram, help);
    page.histogram({}, counts);
  };
  page.single("farol_gateway_transfers_active", gauge, "Files being looked for or sent.", count(pool.transfers));
  page.single("farol_gateway_transfers_total", counter, "Files that were looked for.", count(pool.transfers_total));
  by_reason(page, "farol_gateway_transfers_failed_total", "Files that did not come, or not whole, by reason.", pool.failed);
  times("farol_gateway_first_byte_duration_seconds", "From a request to the first bytes of its file.", status.first_byte);
  times("farol_gateway_transfer_duration_seconds", "From a request to the last bytes of its file, of those sent whole.",
        status.transfer_time);
  times("farol_gateway_chunk_rtt_seconds", "From a question for chunks to the first of them.", pool.chunk_rtt);
  by_reason(page, "farol_gateway_datagrams_dropped_total", "Datagrams that were not taken, by reason.", pool.dropped);
  page.single("farol_gateway_socket_drops_total", counter, "Datagrams that the receive buffer had no room for.",
              count(pool.socket_drops));
}

void add_servers(MetricsPage& page, const std::vector<ServerStatus>& servers) {
  std::vector<std::string> labels;
  for (const ServerStatus& server : servers) labels.push_back(label("server", server.name));
  page.family("farol_gateway_server_info", gauge, "1, labelled with its address.");
  for (std::size_t i = 0; i < servers.size(); ++i)
    page.sample(labels[i] + "," + label("address", servers[i].address.text()), std::uint64_t{1});
  page.family("farol_gateway_server_state", gauge, "1 for the state that the file server is in, 0 for the others.");
  for (std::size_t i = 0; i < servers.size(); ++i)
    for (const ServerState state : kStates)
      page.sample(labels[i] + "," + label("state", to_string(state)), std::uint64_t{servers[i].state == state});
  for (const ServerMetric& metric : kServerMetrics) {
    page.family(metric.name, metric.type, metric.help);
    for (std::size_t i = 0; i < servers.size(); ++i) page.sample(labels[i], metric.of(servers[i]));
  }
}

}  // namespace

std::string metrics_text(const GatewayStatus& status, const ProcessFigures& process) {
  MetricsPage page;
  add_process(page, status, process);
  add_clients(page, status);
  add_transfers(page, status);
  add_servers(page, status.pool.servers);
  return page.take();
}

}  // namespace farol::gateway
