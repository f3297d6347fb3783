#include "proxy/admin.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/listener.hpp"
#include "common/program.hpp"
#include "common/threads_engine.hpp"
#include "proxy/decision.hpp"
#include "proxy/feed.hpp"
#include "proxy/status_json.hpp"
#include "proxyctl/admin_client.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const Address kLoopback = *Address::parse("127.0.0.1:8404");
const Address kPublic = *Address::parse("192.0.2.1:8404");

BackendStatus backend(const std::string& address, const std::string& pool, State state) {
  BackendStatus result;
  result.address = *Address::parse(address);
  result.pool = pool;
  result.state = state;
  return result;
}

/// A proxy with three back-ends, one address among them in two pools.
class FakeProxy final : public ProxyView {
 public:
  FakeProxy() {
    now.engine = "threads";
    now.policy = "weighted";
    now.uptime = 1500ms;
    now.ready = true;
    now.backends = {backend("10.0.0.1:80", "web", State::up), backend("10.0.0.2:80", "web", State::new_),
                    backend("10.0.0.2:80", "api", State::up)};
  }
  [[nodiscard]] ProxyStatus status() const override { return now; }
  [[nodiscard]] std::vector<Decision> decisions() const override { return decided; }
  Change set_state(const std::string& name, const Order& order) override {
    closed_over = order.close_over;
    ordered_by = order.by;
    const AdminState state = order.state;
    std::vector<BackendStatus*> found;
    for (BackendStatus& each : now.backends)
      if (name == each.address.text() || name == each.address.text() + "/" + each.pool) found.push_back(&each);
    if (found.empty()) return Change::unknown_backend;
    if (found.size() > 1) return Change::ambiguous;
    found[0]->state = state == AdminState::drain ? State::drain : state == AdminState::maint ? State::maint : State::up;
    return Change::done;
  }
  UpgradeOutcome upgrade() override {
    ++upgrades;
    return upgrades > 1 ? UpgradeOutcome{0, "no such program"} : UpgradeOutcome{4711, {}};
  }
  int upgrades = 0;
  ProxyStatus now;
  std::vector<Decision> decided;
  std::optional<Duration> closed_over;  ///< by the last order
  std::string ordered_by;
};

http::Request request(const std::string& method, const std::string& target, const std::string& host = "127.0.0.1") {
  http::Request result;
  result.method = method;
  result.target = target;
  result.fields = {{"Host", host}};
  return result;
}

http::Request order(const std::string& backend, const std::string& body) {
  http::Request result = request("POST", "/api/v1/backends/" + backend + "/state");
  result.fields.push_back({"Content-Type", "application/json; charset=utf-8"});
  result.body = body;
  return result;
}

std::string error_of(const http::Response& response) {
  return json::parse(response.body()).at("error");
}

}  // namespace

TEST_CASE("health is always good, readiness is the proxy's") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback);
  CHECK(admin.respond(request("GET", "/healthz")).body() == "ok\n");
  CHECK(admin.respond(request("GET", "/readyz")).status() == 200);
  CHECK(admin.respond(request("HEAD", "/readyz?verbose")).status() == 200);
  proxy.now.ready = false;
  CHECK(admin.respond(request("GET", "/readyz")).status() == 503);
  CHECK(admin.respond(request("GET", "/readyz")).body() == "no back-end can be chosen\n");
  proxy.now.ready = proxy.now.draining = true;
  CHECK(admin.respond(request("GET", "/readyz")).status() == 503);
  CHECK(admin.respond(request("GET", "/healthz")).status() == 200);
}

TEST_CASE("the index names every path, other paths and methods are refused") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback);
  const std::string index = admin.respond(request("GET", "/api")).body();
  for (const char* path : {"/healthz", "/readyz", "/api/v1/status", "/api/v1/decisions", "/metrics", "/api/v1/backends/"})
    CHECK(index.find(path) != std::string::npos);
  CHECK(admin.respond(request("GET", "/nothing")).status() == 404);
  CHECK(admin.respond(request("GET", "/api/v1/backends//state")).status() == 404);
  CHECK(admin.respond(request("OPTIONS", "*")).status() == 400);
  CHECK(admin.respond(request("POST", "/api/v1/status")).field("Allow") == "GET, HEAD");
  const http::Response wrong = admin.respond(request("GET", "/api/v1/backends/10.0.0.1:80/state"));
  CHECK(wrong.status() == 405);
  CHECK(wrong.field("Allow") == "POST");
  CHECK(wrong.field("Cache-Control") == "no-store");
}

TEST_CASE("with a dashboard there is a page, its stream and its history") {
  FakeProxy proxy;
  CHECK(Admin(proxy, kLoopback).respond(request("GET", "/")).status() == 404);
  ProxyFeed feed(proxy);
  dashboard::Dashboard dashboard(feed, "backend", "ADDRESS:PORT/POOL");
  const Admin admin(proxy, kLoopback, &dashboard);
  const http::Response page = admin.respond(request("GET", "/"));
  CHECK(page.field("Content-Type") == "text/html; charset=utf-8");
  CHECK(page.field("Cache-Control") == "no-cache");
  CHECK(admin.respond(request("GET", "/api/v1/events")).field("Content-Type") == "text/event-stream");
  CHECK(admin.respond(request("GET", "/api/v1/history?backend=10.0.0.1%3A80%2Fweb")).status() == 200);
  CHECK(admin.respond(request("GET", "/api/v1/history?backend=10.0.0.9%3A80%2Fweb")).status() == 404);
  CHECK(admin.respond(request("GET", "/api/v1/history")).status() == 400);
  CHECK(admin.respond(request("GET", "/api/v1/history?backend=%4")).status() == 400);
  CHECK(admin.respond(request("POST", "/")).status() == 405);
  CHECK(admin.respond(request("GET", "/", "farol.example")).status() == 403);
}

TEST_CASE("the status has every field, absent values are null") {
  FakeProxy proxy;
  proxy.now.rejected = {{"no_backend", 2, 1500ms}};
  proxy.now.ended = {{"sD", 4}};
  proxy.now.dropped_packets = {{"bad_mac", 7}};
  proxy.now.connections_active = 1;
  proxy.now.connections_waiting = 3;
  proxy.now.connections_most = 5000;
  proxy.now.connections_total = 9;
  proxy.now.bytes_in = 10;
  proxy.now.bytes_out = 20;
  BackendStatus& first = proxy.now.backends[0];
  first.score = 0.695;
  first.components = {.rtt = 0.5, .tcp = 0.1, .loss = 0.05, .cpu = 0.025, .memory = 0.02};
  first.rtt_sample_ms = 11.2345678;
  first.loss = 0.05;
  first.cpu = 0.17;
  first.tcp = 3;
  first.report_age = 400ms;
  first.ejected_for = 2500ms;
  first.connections_failed = 4;
  first.connections_most = 20;
  first.leaving = true;
  proxy.now.listeners = {{*Address::parse("0.0.0.0:80"), "web"}};

  const http::Response response = Admin(proxy, kLoopback).respond(request("GET", "/api/v1/status"));
  CHECK(response.field("Content-Type") == "application/json");
  const json status = json::parse(response.body());
  CHECK(status["version"] == kVersion);
  CHECK(status["uptime_s"] == 1.5);
  CHECK(status["engine"] == "threads");
  CHECK(status["policy"] == "weighted");
  CHECK(status["ready"] == true);
  CHECK(status["draining"] == false);
  CHECK(status["connections"] == json({{"active", 1},
                                       {"waiting", 3},
                                       {"max", 5000},
                                       {"total", 9},
                                       {"rejected", {{"no_backend", 2}}},
                                       {"last_rejected_ms", {{"no_backend", 1500.0}}},
                                       {"ended", {{"sD", 4}}}}));
  CHECK(status["bytes"] == json({{"in", 10}, {"out", 20}}));
  CHECK(status["monitoring"]["dropped"] == json({{"bad_mac", 7}}));

  const json known = status["backends"][0], fresh = status["backends"][1];
  CHECK(status["listeners"] == json::parse(R"([{"address": "0.0.0.0:80", "pool": "web"}])"));
  CHECK(known["leaving"] == "goodbye");
  CHECK(fresh["leaving"].is_null());
  CHECK(known["address"] == "10.0.0.1:80");
  CHECK(known["pool"] == "web");
  CHECK(known["source"] == "agent");
  CHECK(known["state"] == "up");
  CHECK(known["score"] == 0.695);
  CHECK(known["components"] == json({{"rtt", .5}, {"tcp", .1}, {"loss", .05}, {"cpu", .025}, {"memory", .02}, {"doubt", 0.0}}));
  CHECK(known["rtt_ms"] == json({{"sample", 11.235}, {"estimated", nullptr}}));
  CHECK(known["loss"] == 0.05);
  CHECK(known["cpu"] == 0.17);
  CHECK(known["tcp"] == 3);
  CHECK(known["report_age_ms"] == 400);
  CHECK(known["ejected_until_ms"] == 2500);
  CHECK(known["connections"] == json({{"active", 0}, {"max", 20}, {"total", 0}, {"failed", 4}}));
  CHECK(fresh["connections"]["max"].is_null());
  CHECK(fresh["state"] == "new");
  for (const char* key : {"score", "tcp", "tcp_service", "cpu", "memory", "report_age_ms", "ejected_until_ms"})
    CHECK(fresh.at(key).is_null());
  CHECK(fresh["components"]["rtt"].is_null());
}

TEST_CASE("a decision is explained by every part of every candidate's score") {
  FakeProxy proxy;
  CHECK(json::parse(Admin(proxy, kLoopback).respond(request("GET", "/api/v1/decisions")).body()) ==
        json({{"decisions", json::array()}}));
  Explained candidate;
  candidate.address = *Address::parse("10.0.0.1:80");
  candidate.score = 0.695;
  candidate.components = {.rtt = .5, .tcp = .1, .loss = .05, .cpu = .02, .memory = .015, .doubt = .01};
  candidate.rtt_ms = 11.2345678;
  candidate.tcp = 7;
  candidate.cpu = 17;
  candidate.memory = 89;
  candidate.open = 3;
  candidate.busy = 1;
  candidate.verdict = Verdict::chosen;
  candidate.state = State::stale;
  candidate.report_age = 4200ms;
  candidate.ramp = .25;
  Decision decided{42, Clock::now() - 2s, "web", Policy::weighted, candidate.address, Reason::turn, 5, {}, {candidate}};
  decided.verdicts[static_cast<std::size_t>(Verdict::chosen)] = 1;
  decided.verdicts[static_cast<std::size_t>(Verdict::tried_before)] = 3;
  proxy.decided = {decided, {43, Clock::now(), "web", Policy::report, {}, Reason::nobody, 0, {}, {Explained{}}}};
  const http::Response response = Admin(proxy, kLoopback).respond(request("GET", "/api/v1/decisions"));
  CHECK(response.field("Content-Type") == "application/json");
  const json decision = json::parse(response.body())["decisions"].at(0);
  CHECK(decision["number"] == 42);
  CHECK(decision["reason"] == "turn");
  CHECK(decision["age_ms"].get<double>() >= 2000);
  CHECK(decision["pool"] == "web");
  CHECK(decision["policy"] == "weighted");
  CHECK(decision["chosen"] == "10.0.0.1:80");
  CHECK(decision["candidates"] == 5);
  CHECK(decision["considered"] ==
        json::array({{{"address", "10.0.0.1:80"},
                      {"verdict", "chosen"},
                      {"state", "stale"},
                      {"score", .695},
                      {"components", {{"rtt", .5}, {"tcp", .1}, {"loss", .05}, {"cpu", .02}, {"memory", .015}, {"doubt", .01}}},
                      {"rtt_ms", 11.235},
                      {"tcp", 7},
                      {"cpu", .17},
                      {"memory", .89},
                      {"report_age_ms", 4200},
                      {"slow_start", .25},
                      {"connections", {{"active", 3}, {"busy", 1}}}}}));
  CHECK(decision["verdicts"] == json({{"chosen", 1}, {"tried_before", 3}}));
  const json in_vain = json::parse(response.body())["decisions"].at(1);
  CHECK(in_vain["chosen"].is_null());
  CHECK(in_vain["reason"] == "nobody");
  CHECK(in_vain["considered"].at(0)["report_age_ms"].is_null());
  CHECK(in_vain["considered"].at(0)["slow_start"].is_null());
}

TEST_CASE("names that are no UTF-8 still make JSON") {
  FakeProxy proxy;
  proxy.now.backends[0].pool = "\xff\"\n";
  CHECK(json::parse(status_json(proxy.now))["backends"][0]["pool"] == "\xef\xbf\xbd\"\n");
}

TEST_CASE("the operator's order changes a back-end and says its new state") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback);
  const http::Response done = admin.respond(order("10.0.0.1%3A80", R"({"state":"drain"})"));
  CHECK(done.status() == 200);
  CHECK(json::parse(done.body()) == json({{"address", "10.0.0.1:80"}, {"pool", "web"}, {"state", "drain"}}));
  CHECK(admin.respond(order("10.0.0.2:80%2fapi", R"({"state":"maint"})")).status() == 200);
  CHECK(admin.respond(order("10.0.0.2:80/web", R"({"state":"ready"})")).status() == 200);
  CHECK(proxy.now.backends[1].state == State::up);
  CHECK(proxy.now.backends[2].state == State::maint);
}

TEST_CASE("an order is passed on with the address of who gave it") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback);
  CHECK(admin.respond(order("10.0.0.1:80", R"({"state":"drain"})"), *Address::parse("127.0.0.1:40123")).status() == 200);
  CHECK(proxy.ordered_by == "127.0.0.1:40123");
}

TEST_CASE("an order that cannot be carried out says what would be right") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback);
  const http::Response unknown = admin.respond(order("10.0.0.9%3A80", R"({"state":"drain"})"));
  CHECK(unknown.status() == 404);
  CHECK(error_of(unknown) == "no back-end 10.0.0.9:80 (GET /api/v1/status lists them)");
  const http::Response ambiguous = admin.respond(order("10.0.0.2:80", R"({"state":"drain"})"));
  CHECK(ambiguous.status() == 409);
  CHECK(error_of(ambiguous) == "10.0.0.2:80 is in more than one pool (say 10.0.0.2:80/web or 10.0.0.2:80/api)");
  CHECK_FALSE(proxy.closed_over.has_value());
  CHECK(admin.respond(order("10.0.0.1:80", R"({"state":"maint","close_over_s":2.5})")).status() == 200);
  CHECK(proxy.closed_over == Duration(2500ms));
  CHECK(admin.respond(order("10.0.0.1:80", R"({"state":"ready"})")).status() == 200);
  for (const char* body : {R"({"state":"ready","close_over_s":1})", R"({"state":"drain","close_over_s":-1})",
                           R"({"state":"drain","close_over_s":1e9})", R"({"state":"drain","close_over_s":"1"})",
                           R"({"close_over_s":1})"})
    CHECK(admin.respond(order("10.0.0.1:80", body)).status() == 400);
  for (const char* body : {"", "drain", "{}", "[]", R"({"state":"off"})", R"({"state":1})",
                           R"({"state":"drain","x":1})", "{\"state\":\"drain\""}) {
    const http::Response wrong = admin.respond(order("10.0.0.1:80", body));
    CHECK(wrong.status() == 400);
    CHECK(error_of(wrong).find("\"drain\"") != std::string::npos);
  }
  CHECK(admin.respond(order("10.0.0.1%zz", R"({"state":"drain"})")).status() == 404);
  CHECK(proxy.now.backends[0].state == State::up);
}

TEST_CASE("a web page cannot give orders, nor read under a name of its own") {
  FakeProxy proxy;
  const Admin admin(proxy, kLoopback), open(proxy, kPublic);
  http::Request form = order("10.0.0.1:80", R"({"state":"drain"})");
  form.fields[1].value = "text/plain";
  CHECK(admin.respond(form).status() == 415);
  http::Request page = order("10.0.0.1:80", R"({"state":"drain"})");
  page.fields.push_back({"Origin", "http://evil.example"});
  CHECK(admin.respond(page).status() == 403);
  for (const Admin* each : {&admin, &open})
    CHECK(each->respond(request("GET", "/api/v1/status", "evil.example:8404")).status() == 403);
  CHECK(proxy.now.backends[0].state == State::up);
}

TEST_CASE("from other machines an order needs the token, and reading does not") {
  FakeProxy proxy;
  const Admin closed(proxy, kPublic);
  const Admin admin(proxy, http::AdminAccess(kPublic, Token::parse("correct-horse-battery", "test")));
  http::Request wanted = order("10.0.0.1:80", R"({"state":"drain"})");
  CHECK(closed.respond(wanted).status() == 403);
  const http::Response unknown = admin.respond(wanted);
  CHECK(unknown.status() == 401);
  CHECK(unknown.field("WWW-Authenticate") == "Bearer");
  CHECK(error_of(unknown).find("--token-file") != std::string::npos);
  CHECK(proxy.now.backends[0].state == State::up);
  wanted.fields.push_back({"Authorization", "Bearer correct-horse-battery"});
  CHECK(closed.respond(wanted).status() == 403);
  CHECK(admin.respond(wanted).status() == 200);
  CHECK(proxy.now.backends[0].state == State::drain);
  for (const char* path : {"/api", "/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/decisions"})
    CHECK(closed.respond(request("GET", path)).status() == 200);
}

TEST_CASE("an upgrade is ordered like a change of state, and answered with what became of it") {
  FakeProxy proxy;
  const Admin admin(proxy, *Address::parse("127.0.0.1:8404"));
  http::Request upgrade = request("POST", "/api/v1/upgrade");
  CHECK(admin.respond(upgrade).status() == 415);
  upgrade.fields.push_back({"Content-Type", "application/json"});
  const http::Response done = admin.respond(upgrade);
  CHECK(done.status() == 200);
  CHECK(json::parse(done.body()) == json({{"process", 4711}}));
  const http::Response failed = admin.respond(upgrade);
  CHECK(failed.status() == 500);
  CHECK(json::parse(failed.body())["error"] == "no such program");
  CHECK(admin.respond(request("GET", "/api/v1/upgrade")).status() == 405);
  CHECK(proxy.upgrades == 2);
}

TEST_CASE("proxyctl's client and the admin endpoint understand each other") {
  FakeProxy proxy;
  const Logger log(-1, LogLevel::error, LogFormat::text);
  const auto listener = std::make_shared<Listener>(*Address::parse("127.0.0.1:0"));
  const Admin admin(proxy, listener->address());
  const http::Responder responder = admin.responder({});
  const auto engine = start_engine(
      EngineKind::threads, {listener},
      [&](Io& io, Accepted client) {
        return http::serve_connection(io, std::move(client), responder, Admin::limits());
      },
      EngineOptions{}, log);

  const std::string root = listener->address().text();
  const proxyctl::AdminClient client("http://" + root + "/");
  CHECK(client.status()["backends"].size() == 3);
  CHECK(client.set_state("10.0.0.2:80/api", "drain")["state"] == "drain");
  CHECK(client.set_state("10.0.0.2:80/api", "drain", 30s)["state"] == "drain");
  CHECK(proxy.closed_over == Duration(30s));
  CHECK_THROWS_WITH(client.set_state("10.0.0.9:80", "drain"),
                    "no back-end 10.0.0.9:80 (GET /api/v1/status lists them)");
  CHECK_THROWS_WITH(client.set_state("10.0.0.1:80", "off"), Catch::Contains("\"maint\""));
  CHECK_THROWS_WITH(proxyctl::AdminClient(root + "/elsewhere").status(), "no such path (GET /api lists them)");
}
