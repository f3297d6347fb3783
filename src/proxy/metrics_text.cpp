#include "proxy/metrics_text.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/metrics_page.hpp"
#include "common/process_metrics.hpp"
#include "common/program.hpp"

namespace farol::proxy {
namespace {

using enum MetricType;
using Value = std::optional<double>;

/// A metric with one sample for each back-end of which it is known.
struct BackendMetric {
  const char* name;
  MetricType type;
  const char* help;
  Value (*of)(const BackendStatus&);
};

template <typename Number>
Value known(const std::optional<Number>& value) {
  return value ? Value(static_cast<double>(*value)) : std::nullopt;
}

Value seconds(const std::optional<double>& ms) { return ms ? Value(*ms / 1000) : std::nullopt; }

double count(std::uint64_t number) { return static_cast<double>(number); }

constexpr BackendMetric kBackendMetrics[] = {
    {"farol_backend_score", gauge, "What the policy compares, lower is better.",
     [](const BackendStatus& b) { return b.score; }},
    {"farol_backend_rtt_seconds", gauge, "Round trip of the last probe.",
     [](const BackendStatus& b) { return seconds(b.rtt_sample_ms); }},
    {"farol_backend_rtt_estimated_seconds", gauge, "Smoothed round trip of the probes.",
     [](const BackendStatus& b) { return seconds(b.rtt_estimated_ms); }},
    {"farol_backend_loss_ratio", gauge, "Share of the last 20 probes that were lost.",
     [](const BackendStatus& b) { return Value(b.loss); }},
    {"farol_backend_agent_tcp_connections", gauge, "Established connections of the machine, as its agent reports.",
     [](const BackendStatus& b) { return known(b.tcp); }},
    {"farol_backend_agent_service_connections", gauge, "Those of the service alone.",
     [](const BackendStatus& b) { return known(b.tcp_service); }},
    {"farol_backend_agent_cpu_ratio", gauge, "Share of its CPU in use, as its agent reports.",
     [](const BackendStatus& b) { return b.cpu; }},
    {"farol_backend_agent_memory_ratio", gauge, "Share of its memory in use, as its agent reports.",
     [](const BackendStatus& b) { return b.memory; }},
    {"farol_backend_agent_report_age_seconds", gauge, "Time since the last report of its agent.",
     [](const BackendStatus& b) { return b.report_age ? Value(to_seconds(*b.report_age)) : std::nullopt; }},
    {"farol_backend_agent_conflicts_total", counter, "Times a second live agent claimed this identity.",
     [](const BackendStatus& b) { return Value(count(b.conflicts)); }},
    {"farol_backend_probes_sent_total", counter, "Probes sent to its agent.",
     [](const BackendStatus& b) { return Value(count(b.probes_sent)); }},
    {"farol_backend_probes_answered_total", counter, "Probes that its agent answered in time, each with a report.",
     [](const BackendStatus& b) { return Value(count(b.probes_answered)); }},
    {"farol_backend_probes_lost_total", counter, "Probes without an answer in time.",
     [](const BackendStatus& b) { return Value(count(b.probes_lost)); }},
    {"farol_backend_connections_active", gauge, "Connections of this proxy to it.",
     [](const BackendStatus& b) { return Value(count(b.connections_active)); }},
    {"farol_backend_connections_limit", gauge, "Connections of this proxy that it may have at once; 0 is no limit.",
     [](const BackendStatus& b) { return Value(count(b.connections_most)); }},
    {"farol_backend_connections_total", counter, "Times it was chosen.",
     [](const BackendStatus& b) { return Value(count(b.connections_total)); }},
    {"farol_backend_connect_failures_total", counter, "Connection attempts to it that failed.",
     [](const BackendStatus& b) { return Value(count(b.connections_failed)); }},
    {"farol_backend_ejected_seconds", gauge, "How much longer it is left out after failed connections.",
     [](const BackendStatus& b) { return Value(to_seconds(b.ejected_for)); }},
    {"farol_backend_bytes_in_total", counter, "Bytes from clients to it, of connections that have ended.",
     [](const BackendStatus& b) { return Value(count(b.bytes_in)); }},
    {"farol_backend_bytes_out_total", counter, "Bytes from it to clients, of connections that have ended.",
     [](const BackendStatus& b) { return Value(count(b.bytes_out)); }},
};

struct Component {
  const char* name;
  double ScoreComponents::*part;
};
constexpr Component kComponents[] = {{"rtt", &ScoreComponents::rtt},       {"tcp", &ScoreComponents::tcp},
                                     {"loss", &ScoreComponents::loss},     {"cpu", &ScoreComponents::cpu},
                                     {"memory", &ScoreComponents::memory}, {"doubt", &ScoreComponents::doubt}};
constexpr State kStates[] = {State::new_,    State::up,    State::stale, State::down,
                             State::ejected, State::drain, State::maint};

void by_reason(MetricsPage& page, const char* name, const char* help, const std::vector<Counter>& counters,
               const char* key = "reason") {
  page.family(name, counter, help);
  for (const Counter& each : counters) page.sample(label(key, each.reason), each.count);
}

void add_process(MetricsPage& page, const ProxyStatus& status, const ProcessFigures& process) {
  page.family("farol_build_info", gauge, "1, labelled with the version.");
  page.sample(label("version", kVersion), std::uint64_t{1});
  page.family("farol_config_info", gauge, "1, labelled with the engine and the default policy.");
  page.sample(label("engine", status.engine) + "," + label("policy", status.policy), std::uint64_t{1});
  add_process_metrics(page, "farol_process", process, status.started, status.uptime);
  page.single("farol_process_max_threads", gauge, "Threads it may have.", count(status.threads_most));
  page.single("farol_log_lines_dropped_total", counter, "Log lines that could not be written.",
         count(status.log_lines_dropped));
  by_reason(page, "farol_reloads_total", "Times the configuration was read anew, by what came of it.",
            {{"done", status.reloads_done}, {"failed", status.reloads_failed}}, "result");
  page.single("farol_ready", gauge, "1 while a back-end of a listener's pool can be chosen.", status.ready ? 1 : 0);
  page.single("farol_draining", gauge, "1 while the proxy is stopping.", status.draining ? 1 : 0);
}

void add_clients(MetricsPage& page, const ProxyStatus& status) {
  page.single("farol_connections_active", gauge, "Clients being served.", count(status.connections_active));
  page.single("farol_connections_limit", gauge, "Clients that may be served at once.", count(status.connections_most));
  page.single("farol_connections_waiting", gauge, "Clients waiting for a back-end.", count(status.connections_waiting));
  page.single("farol_connections_total", counter, "Clients taken on.", count(status.connections_total));
  by_reason(page, "farol_connections_rejected_total", "Clients closed without having been served, by reason.",
            status.rejected);
  by_reason(page, "farol_connections_ended_total", "Connections that have ended, by HAProxy's two letters for how.",
            status.ended, "cause");
  page.single("farol_bytes_in_total", counter, "Bytes from clients to back-ends, of connections that have ended.",
         count(status.bytes_in));
  page.single("farol_bytes_out_total", counter, "Bytes from back-ends to clients, of connections that have ended.",
         count(status.bytes_out));
  by_reason(page, "farol_monitoring_datagrams_dropped_total", "Monitoring datagrams that were not taken, by reason.",
            status.dropped_packets);
}

void add_pools(MetricsPage& page, const ProxyStatus& status) {
  std::vector<std::string> labels;
  for (const PoolStatus& pool : status.pools) labels.push_back(label("pool", pool.name));
  const auto each = [&](const char* name, MetricType type, const char* help, auto add) {
    page.family(name, type, help);
    for (std::size_t i = 0; i < labels.size(); ++i) add(labels[i], status.pools[i]);
  };
  const auto number = [&](const char* name, MetricType type, const char* help, auto member) {
    each(name, type, help, [&](const std::string& of, const PoolStatus& pool) { page.sample(of, count(pool.*member)); });
  };
  const auto times = [&](const char* name, const char* help, auto member) {
    each(name, histogram, help, [&](const std::string& of, const PoolStatus& pool) { page.histogram(of, pool.*member); });
  };
  each("farol_pool_info", gauge, "1, labelled with the pool's policy.", [&](const std::string& of, const PoolStatus& pool) {
    page.sample(of + "," + label("policy", pool.policy), std::uint64_t{1});
  });
  number("farol_pool_queue_length", gauge, "Clients waiting for a back-end of the pool.", &PoolStatus::waiting);
  each("farol_pool_queue_limit", gauge, "Clients that may wait at once.",
       [&](const std::string& of, const PoolStatus&) { page.sample(of, count(status.queue_most)); });
  each("farol_pool_decisions_total", counter, "Choices of a back-end, by the reason that decided.",
       [&](const std::string& of, const PoolStatus& pool) {
         for (const Counter& reason : pool.decisions) page.sample(of + "," + label("reason", reason.reason), reason.count);
       });
  number("farol_pool_connect_failures_total", counter, "Connection attempts that failed.", &PoolStatus::connect_failures);
  number("farol_pool_probes_lost_total", counter, "Probes without an answer in time.", &PoolStatus::probes_lost);
  times("farol_pool_connect_duration_seconds", "From the choice of a back-end to the connection.",
        &PoolStatus::connect_time);
  times("farol_pool_session_duration_seconds", "From accept to end, of clients that were relayed.",
        &PoolStatus::session_time);
  times("farol_pool_first_byte_duration_seconds", "From the choice to the back-end's first byte, less the client's own time.",
        &PoolStatus::first_byte);
  times("farol_pool_probe_rtt_seconds", "Round trips of probes answered in time.", &PoolStatus::probe_rtt);
}

void add_states(MetricsPage& page, const std::vector<BackendStatus>& backends, const std::vector<std::string>& labels) {
  std::vector<std::string> names;
  for (const State state : kStates) names.push_back("," + label("state", to_string(state)));
  page.family("farol_backend_state", gauge, "1 for the state that the back-end is in, 0 for the others.");
  for (std::size_t i = 0; i < backends.size(); ++i)
    for (std::size_t state = 0; state < names.size(); ++state)
      page.sample(labels[i] + names[state], std::uint64_t{backends[i].state == kStates[state]});
}

void add_components(MetricsPage& page, const std::vector<BackendStatus>& backends,
                    const std::vector<std::string>& labels) {
  std::vector<std::string> names;
  for (const Component& component : kComponents) names.push_back("," + label("component", component.name));
  page.family("farol_backend_score_component", gauge, "The parts that a score is the sum of.");
  for (std::size_t i = 0; i < backends.size(); ++i)
    for (std::size_t part = 0; backends[i].score && part < names.size(); ++part)
      page.sample(labels[i] + names[part], backends[i].components.*kComponents[part].part);
}

void add_backends(MetricsPage& page, const std::vector<BackendStatus>& backends) {
  std::vector<std::string> labels;
  for (const BackendStatus& backend : backends)
    labels.push_back(label("pool", backend.pool) + "," + label("backend", backend.address.text()));
  page.family("farol_backend_info", gauge, "1, labelled with where it is known from: an agent or the configuration.");
  for (std::size_t i = 0; i < backends.size(); ++i)
    page.sample(labels[i] + "," + label("source", to_string(backends[i].source)), std::uint64_t{1});
  add_states(page, backends, labels);
  add_components(page, backends, labels);
  for (const BackendMetric& metric : kBackendMetrics) {
    page.family(metric.name, metric.type, metric.help);
    for (std::size_t i = 0; i < backends.size(); ++i)
      if (const Value value = metric.of(backends[i])) page.sample(labels[i], *value);
  }
}

}  // namespace

std::string metrics_text(const ProxyStatus& status, const ProcessFigures& process) {
  MetricsPage page;
  add_process(page, status, process);
  add_clients(page, status);
  add_pools(page, status);
  add_backends(page, status.backends);
  return page.take();
}

}  // namespace farol::proxy
