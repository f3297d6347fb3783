#include "proxy/metrics_text.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <string>

#include "common/sanitizers.hpp"
#include "document.hpp"
#include "proxy/pool_meters.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using namespace std::chrono_literals;

namespace {

BackendStatus reporting(const std::string& address, const std::string& pool = "default") {
  BackendStatus backend;
  backend.address = *Address::parse(address);
  backend.pool = pool;
  backend.state = State::up;
  backend.score = 0.695;
  backend.components.rtt = 0.165;
  backend.rtt_sample_ms = 11.2;
  backend.rtt_estimated_ms = 130.1;
  backend.loss = 0.05;
  backend.tcp = 3;
  backend.tcp_service = 2;
  backend.cpu = 0.17;
  backend.memory = 0.89;
  backend.report_age = 1500ms;
  return backend;
}

ProxyStatus status_of(std::vector<BackendStatus> backends) {
  const PoolMeters meters;
  ProxyStatus status;
  status.started = std::chrono::system_clock::time_point(1'700'000'000s);
  status.engine = "events";
  status.policy = "weighted";
  status.rejected = {{"limit", 3}, {"no_backend", 4}};
  status.ended = {{"--", 90}, {"sD", 2}};
  status.reloads_done = 3;
  status.dropped_packets = {{"mac", 7}};
  PoolStatus& pool = status.pools.emplace_back();
  pool.name = "default";
  pool.policy = "report";
  pool.decisions = {{"lowest", 5}, {"turn", 6}};
  pool.connect_time = meters.connect_time.counts();
  pool.session_time = meters.session_time.counts();
  pool.first_byte = meters.first_byte.counts();
  pool.probe_rtt = meters.probe_rtt.counts();
  status.backends = std::move(backends);
  return status;
}

}  // namespace

TEST_CASE("metrics: what is known of a back-end", "[metrics]") {
  const std::string text = metrics_text(status_of({reporting("10.1.1.1:80")}), {});
  const std::string labels = R"({pool="default",backend="10.1.1.1:80"})";
  for (const char* line : {"farol_backend_score@ 0.695", "farol_backend_rtt_seconds@ 0.0112", "farol_backend_loss_ratio@ 0.05",
                           "farol_backend_agent_tcp_connections@ 3", "farol_backend_agent_cpu_ratio@ 0.17",
                           "farol_backend_agent_memory_ratio@ 0.89", "farol_backend_agent_report_age_seconds@ 1.5"}) {
    std::string wanted = line;
    wanted.replace(wanted.find('@'), 1, labels);
    CHECK(has_line(text, wanted));
  }
  CHECK(has_line(text, R"(farol_backend_score_component{pool="default",backend="10.1.1.1:80",component="rtt"} 0.165)"));
  CHECK(has_line(text, R"(farol_backend_state{pool="default",backend="10.1.1.1:80",state="up"} 1)"));
  CHECK(has_line(text, R"(farol_backend_state{pool="default",backend="10.1.1.1:80",state="down"} 0)"));
  CHECK(has_line(text, R"(farol_backend_info{pool="default",backend="10.1.1.1:80",source="agent"} 1)"));
}

TEST_CASE("metrics: what is not known has no sample", "[metrics]") {
  BackendStatus mute;
  mute.address = *Address::parse("[fd00::1]:80");
  mute.pool = "web";
  const std::string text = metrics_text(status_of({mute}), {});
  for (const char* name : {"score", "score_component", "rtt_seconds", "agent_cpu_ratio", "agent_report_age_seconds"})
    CHECK(text.find(std::string("\nfarol_backend_") + name + "{") == std::string::npos);
  CHECK(has_line(text, R"(farol_backend_connections_active{pool="web",backend="[fd00::1]:80"} 0)"));
}

TEST_CASE("metrics: the proxy, its pools and its process", "[metrics]") {
  const ProcessFigures process{12, 20'000, 5, 1024, 4096, 1.5};
  const std::string text = metrics_text(status_of({}), process);
  for (const char* line : {R"(farol_config_info{engine="events",policy="weighted"} 1)", "farol_process_open_fds 12",
                           "farol_process_threads 5", "farol_process_cpu_seconds_total 1.5",
                           "farol_process_start_time_seconds 1700000000",
                           R"(farol_connections_rejected_total{reason="no_backend"} 4)",
                           R"(farol_monitoring_datagrams_dropped_total{reason="mac"} 7)",
                           R"(farol_connections_ended_total{cause="sD"} 2)", R"(farol_reloads_total{result="done"} 3)",
                           R"(farol_reloads_total{result="failed"} 0)",
                           R"(farol_pool_info{pool="default",policy="report"} 1)",
                           R"(farol_pool_decisions_total{pool="default",reason="turn"} 6)",
                           R"(farol_pool_connect_duration_seconds_bucket{pool="default",le="10"} 0)",
                           R"(farol_pool_probe_rtt_seconds_count{pool="default"} 0)"}) {
    INFO(line << " in\n" << text);
    CHECK(has_line(text, line));
  }
}

TEST_CASE("metrics: a name that an attacker chose stays one label", "[metrics]") {
  const std::string text = metrics_text(status_of({reporting("10.1.1.1:80", "a\"} 1\nfarol_forged 1 <script>\\")}), {});
  CHECK(text.find("\nfarol_forged") == std::string::npos);
  CHECK(has_line(text, R"(farol_backend_score{pool="a\"} 1\nfarol_forged 1 <script>\\",backend="10.1.1.1:80"} 0.695)"));
}

TEST_CASE("metrics: docs/METRICS.md names all of them and no other", "[metrics]") {
  const std::string text = metrics_text(status_of({}), {});
  std::set<std::string> told = names_in(read_repository_file("docs/METRICS.md"), "| `");
  std::erase_if(told, [](const std::string& name) { return name.starts_with("farol_gateway_"); });
  CHECK(names_in(text, "# TYPE ") == told);
}

TEST_CASE("metrics: a thousand back-ends are written down quickly", "[metrics]") {
  std::vector<BackendStatus> backends;
  for (int i = 0; i < 1000; ++i)
    backends.push_back(reporting("10.1." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250) + ":80"));
  const ProxyStatus status = status_of(std::move(backends));
  auto best = Duration::max();
  std::size_t bytes = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {  // others on the machine only make it look slower
    const TimePoint start = Clock::now();
    bytes = metrics_text(status, {}).size();
    best = std::min(best, Clock::now() - start);
  }
  INFO(bytes << " bytes in " << to_ms(best) << " ms");
  CHECK(bytes > 1'000'000);
  CHECK(best < (kAddressSanitizer || kThreadSanitizer ? 500ms : 40ms));
}
