#include "gateway/admin.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "gateway/fake_gateway.hpp"
#include "gateway/feed.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace std::chrono_literals;
using farol::test::FakeGateway;
using nlohmann::json;

namespace {

/// The endpoint of a gateway that is made up.
struct Endpoint {
  FakeGateway gateway;
  GatewayFeed feed{gateway};
  dashboard::Dashboard dashboard{feed, "server", "NAME"};
  const Admin admin{gateway, http::AdminAccess(*Address::parse("0.0.0.0:8405"), std::nullopt, {"gw.example"}), dashboard};

  [[nodiscard]] http::Response ask(const std::string& target, const std::string& method = "GET",
                                   const std::string& host = "127.0.0.1:8405") const {
    http::Request request;
    request.method = method;
    request.target = target;
    request.fields = {{"Host", host}};
    return admin.respond(request);
  }
  [[nodiscard]] int status(const std::string& target, const std::string& method = "GET") const {
    return ask(target, method).status();
  }
};

}  // namespace

TEST_CASE("the gateway's index names every path, other paths and methods are refused", "[gateway]") {
  const Endpoint endpoint;
  const std::string index = endpoint.ask("/api").body();
  for (const char* path : {"/", "/api", "/healthz", "/readyz", "/api/v1/status", "/api/v1/events", "/metrics"}) {
    INFO(path);
    CHECK(index.find("GET  " + std::string(path) + " ") != std::string::npos);
    CHECK(endpoint.status(path) == 200);
    CHECK(endpoint.status(path, "HEAD") == 200);
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
      const http::Response wrong = endpoint.ask(path, method);
      CHECK(wrong.status() == 405);
      CHECK(wrong.field("Allow") == "GET, HEAD");
    }
  }
  CHECK(index.find("GET  /api/v1/history?server=NAME ") != std::string::npos);
  CHECK(endpoint.status("/nothing") == 404);
  CHECK(endpoint.status("/nothing", "POST") == 404);
  CHECK(endpoint.status("*", "OPTIONS") == 400);
  CHECK(endpoint.ask("/api/v1/status").field("Cache-Control") == "no-store");
}

TEST_CASE("the gateway's endpoint has a page, its stream and its history", "[gateway]") {
  const Endpoint endpoint;
  CHECK(endpoint.ask("/").field("Content-Type") == "text/html; charset=utf-8");
  CHECK(endpoint.ask("/").field("Content-Security-Policy").find("default-src 'none'") == 0);
  CHECK(endpoint.ask("/api/v1/events").field("Content-Type") == "text/event-stream");
  CHECK(endpoint.status("/api/v1/history?server=one") == 200);
  CHECK(endpoint.status("/api/v1/history?server=nobody") == 404);
  CHECK(endpoint.status("/api/v1/history?backend=one") == 400);
  CHECK(endpoint.ask("/api/v1/history").body().find("?server=NAME") != std::string::npos);
  CHECK(endpoint.ask("/metrics").field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("the gateway's endpoint answers under its own names only", "[gateway]") {
  const Endpoint endpoint;
  for (const char* own : {"127.0.0.1:8405", "[::1]:8405", "localhost", "gw.example:8405"})
    CHECK(endpoint.ask("/api/v1/status", "GET", own).status() == 200);
  for (const char* strange : {"evil.example", "gw.example.evil", "127.0.0.1.evil.example:8405"})
    for (const char* path : {"/", "/healthz", "/api/v1/status", "/metrics", "/api/v1/events", "/nothing"})
      CHECK(endpoint.ask(path, "GET", strange).status() == 403);
}

TEST_CASE("the gateway is ready while a file server is up and it is not stopping", "[gateway]") {
  Endpoint endpoint;
  CHECK(endpoint.status("/readyz") == 200);
  endpoint.gateway.now.draining = true;
  CHECK(endpoint.status("/readyz") == 503);
  endpoint.gateway.now.draining = false;
  endpoint.gateway.now.pool.ready = false;
  CHECK(endpoint.status("/readyz") == 503);
  CHECK(endpoint.status("/healthz") == 200);
}

TEST_CASE("the gateway's status has every field", "[gateway]") {
  Endpoint endpoint;
  endpoint.gateway.now.answers = {{200, 5}, {0, 1}};
  endpoint.gateway.now.pool.failed = {{"no_server", 2}};
  endpoint.gateway.now.pool.servers[0].rtt = 1234567ns;
  const json all = json::parse(endpoint.ask("/api/v1/status").body());
  CHECK(all["requests"] == json({{"200", 5}, {"other", 1}}));
  CHECK(all["transfers_failed"] == json({{"no_server", 2}}));
  for (const char* key : {"version", "uptime_s", "engine", "ready", "draining", "connections", "bytes", "transfers",
                          "transfers_total", "longest_transfers", "datagrams", "log"})
    CHECK(all.contains(key));
  const json& one = all["servers"].at(0);
  CHECK(one["rtt_ms"] == 1.235);
  for (const char* key : {"name", "address", "state", "left_out", "undelivered", "heard_ms_ago", "bytes_per_second", "chunks"})
    CHECK(one.contains(key));
}
