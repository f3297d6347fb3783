#include "gateway/metrics_text.hpp"

#include <catch2/catch.hpp>

#include "document.hpp"
#include "gateway/fake_gateway.hpp"
#include "http/status_counts.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace farol::test;
using namespace std::chrono_literals;

TEST_CASE("gateway metrics: what is known of a file server", "[metrics]") {
  FakeGateway gateway;
  ServerStatus& one = gateway.now.pool.servers[0];
  one.state = ServerState::suspect;
  one.heard_ago = 1500ms;
  one.rtt = 2ms;
  one.bytes_per_second = 1e6;
  one.in_flight = 3;
  one.window = 4;
  one.chunks = 5;
  one.lost = 6;
  one.duplicates = 7;
  const std::string text = metrics_text(gateway.now, {});
  for (const char* line : {"info{server=\"one\",address=\"10.0.0.1:9000\"} 1", "state{server=\"one\",state=\"suspect\"} 1",
                           "state{server=\"one\",state=\"up\"} 0", "state{server=\"two\",state=\"up\"} 1",
                           "undelivered{server=\"one\"} 0", "heard_age_seconds{server=\"one\"} 1.5",
                           "rtt_seconds{server=\"one\"} 0.002", "rate_bytes_per_second{server=\"one\"} 1000000",
                           "chunks_in_flight{server=\"one\"} 3", "chunks_window{server=\"one\"} 4",
                           "chunks_total{server=\"one\"} 5", "chunks_lost_total{server=\"one\"} 6",
                           "chunks_duplicate_total{server=\"one\"} 7"}) {
    INFO(line << " in\n" << text);
    CHECK(has_line(text, std::string("farol_gateway_server_") + line));
  }
}

TEST_CASE("gateway metrics: clients, transfers and the process", "[metrics]") {
  FakeGateway gateway;
  http::StatusCounts answers;
  answers.add(200);
  answers.add(404);
  answers.add(404);
  answers.add(299);
  gateway.now.answers = answers.counts();
  gateway.now.bytes = 1234;
  gateway.now.pool.transfers = 2;
  gateway.now.pool.transfers_total = 9;
  gateway.now.pool.failed = {{"no_answer", 3}};
  gateway.now.pool.dropped = {{"tag", 4}};
  gateway.now.pool.socket_drops = 5;
  const std::string text = metrics_text(gateway.now, ProcessFigures{12, 20'000, 5, 1024, 4096, 1.5});
  for (const char* line :
       {"requests_total{code=\"200\"} 1", "requests_total{code=\"404\"} 2", "requests_total{code=\"503\"} 0",
        "requests_total{code=\"other\"} 1", "bytes_total 1234", "transfers_active 2", "transfers_total 9",
        "transfers_failed_total{reason=\"no_answer\"} 3", "datagrams_dropped_total{reason=\"tag\"} 4", "socket_drops_total 5",
        "config_info{engine=\"threads\"} 1", "ready 1", "draining 0", "process_open_fds 12", "process_threads 5",
        "process_cpu_seconds_total 1.5", "first_byte_duration_seconds_bucket{le=\"+Inf\"} 0", "chunk_rtt_seconds_count 0",
        "transfer_duration_seconds_bucket{le=\"60\"} 0"}) {
    INFO(line << " in\n" << text);
    CHECK(has_line(text, std::string("farol_gateway_") + line));
  }
}

TEST_CASE("gateway metrics: docs/METRICS.md names all of them and no other", "[metrics]") {
  std::set<std::string> told = names_in(read_repository_file("docs/METRICS.md"), "| `");
  std::erase_if(told, [](const std::string& name) { return !name.starts_with("farol_gateway_"); });
  CHECK(names_in(metrics_text(FakeGateway().now, {}), "# TYPE ") == told);
}
