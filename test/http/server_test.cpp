#include "http/server.hpp"

#include <stdexcept>

#include "http/http_fixture.hpp"

using namespace farol;
using namespace farol::http_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kLarge = 16 * 1024 * 1024;

http::Response respond(const http::Request& request) {
  if (request.target == "/throw") throw std::runtime_error("a bug");
  if (request.target == "/large") return http::Response().body("text/plain", std::string(kLarge, 'x'));
  return http::plain(200, request.method + " " + request.target + " " + request.body);
}

struct Server : TestServer {
  explicit Server(http::Limits limits = {}) : TestServer(http::at_once(&respond), limits) {}
};

}  // namespace

TEST_CASE("requests on one connection are answered until one says close") {
  const Server server;
  const Client client(server);
  client.say(get("/1"));
  const std::string first = client.hear_until("GET /1 \n");
  CHECK(begins(first, "HTTP/1.1 200 OK\r\n"));
  CHECK(first.find("Connection: keep-alive\r\n") != std::string::npos);
  client.say(get("/2", kClose));
  const std::string second = client.hear_to_end();
  CHECK(second.find("Connection: close\r\n") != std::string::npos);
  CHECK(body_of(second) == "GET /2 \n");
}

TEST_CASE("pipelined requests are answered in order, bodies and all") {
  const Server server({.request = {.body_bytes = 100}});
  const Client client(server);
  std::string requests;
  for (int i = 0; i < 50; ++i)
    requests += i % 2 == 0 ? get("/" + std::to_string(i))
                           : "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  client.say(requests + get("/last", kClose));
  const std::string answers = client.hear_to_end();
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find((i % 2 == 0 ? "GET /" : "POST /") + std::to_string(i) + (i % 2 == 0 ? " \n" : " abc\n"), at);
    REQUIRE(at != std::string::npos);
  }
  CHECK(answers.find("GET /last", at) != std::string::npos);
}

TEST_CASE("an HTTP/1.0 client is closed on, and one that stops sending still gets its answer") {
  const Server server;
  const Client old(server);
  old.say("GET /old HTTP/1.0\r\n\r\n");
  CHECK(body_of(old.hear_to_end()) == "GET /old \n");
  const Client half(server);
  half.say(get("/half"));
  half.say_no_more();
  CHECK(body_of(half.hear_to_end()) == "GET /half \n");
}

TEST_CASE("HEAD has no body and the connection goes on") {
  const Server server;
  const Client client(server);
  client.say("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n" + get("/g", kClose));
  const std::string answers = client.hear_to_end();
  CHECK(answers.find("Content-Length: 9\r\n") != std::string::npos);
  CHECK(answers.find("HEAD /h") == std::string::npos);
  CHECK(begins(body_of(answers), "HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a refused request is answered and closed on, though more was sent") {
  const Server server;
  for (const auto& [request, status] :
       std::vector<std::pair<std::string, std::string>>{{get("/", "Transfer-Encoding: chunked\r\n"), "400"},
                                                        {get("/", "Content-Length: 5\r\n"), "413"},
                                                        {"GET / HTTP/1.1\r\n\r\n", "400"},
                                                        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
                                                        {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
                                                        {get("/" + std::string(9000, 'a')), "414"},
                                                        {get("/", "X: " + std::string(20'000, 'a') + "\r\n"), "431"}}) {
    const Client client(server);
    client.say(request + get("/smuggled"));
    const std::string answer = client.hear_to_end();
    CHECK(begins(answer, "HTTP/1.1 " + status + " "));
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(answer.find("smuggled") == std::string::npos);
    CHECK(answer.find("(reset)") == std::string::npos);
  }
}

TEST_CASE("what a responder throws is a 500, without its words") {
  const Server server;
  const Client client(server);
  client.say(get("/throw"));
  const std::string answer = client.hear_to_end();
  CHECK(begins(answer, "HTTP/1.1 500 Internal Server Error\r\n"));
  CHECK(answer.find("a bug") == std::string::npos);
}

TEST_CASE("100 Continue is sent to those who wait for it") {
  const Server server({.request = {.body_bytes = 10}});
  const Client client(server);
  client.say("POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.hear_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.say("ok");
  CHECK(body_of(client.hear_to_end()) == "POST /c ok\n");
}

TEST_CASE("a slow header is cut with 408, a silent or idle connection without a word") {
  const Server server({.header_timeout = 500ms, .idle_timeout = 50ms});
  const Client slow(server);
  slow.say("GET / HT");  // at once, for the time runs from the connection on
  const Client idle(server);
  idle.say(get("/i"));
  const Client silent(server);
  CHECK(begins(slow.hear_to_end(), "HTTP/1.1 408 "));
  CHECK(silent.hear_to_end().empty());
  CHECK(body_of(idle.hear_to_end()) == "GET /i \n");
}

TEST_CASE("a trickled header is not kept alive by its trickle") {
  const Server server({.header_timeout = 500ms});
  const Client client(server);
  client.say("GET / HTTP/1.1\r\nX: ");
  for (int i = 0; i < 1000 && !client.has_heard(10ms); ++i) client.say("a");  // a byte every 10 ms
  CHECK(begins(client.hear_to_end(), "HTTP/1.1 408 "));
}

TEST_CASE("a client that does not read is cut, and blocks nobody meanwhile") {
  const Server server({.write_timeout = 300ms, .close_timeout = 100ms});
  const Client stalled(server, 4096);
  stalled.say(get("/large"));
  const std::string begun = stalled.hear_until("\r\n\r\n");
  CHECK(begins(begun, "HTTP/1.1 200 OK\r\n"));
  const Client other(server);
  other.say(get("/other", kClose));
  CHECK(body_of(other.hear_to_end()) == "GET /other \n");
  CHECK(server.becomes_idle());
  CHECK(stalled.hear_to_end().size() < kLarge);
}

TEST_CASE("a large body arrives whole, however slowly its slices are taken") {
  const Server server;
  const Client client(server, 4096);
  client.say(get("/large", kClose));
  const std::string body = body_of(client.hear_to_end());
  CHECK(body.size() == kLarge);
  CHECK(body.find_first_not_of('x') == std::string::npos);
}

TEST_CASE("many connections at once") {
  const Server server;
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) clients.emplace_back(server);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) clients[i].say(get("/" + std::to_string(i)));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string end = "GET /" + std::to_string(i) + " \n";
      CHECK(body_of(clients[i].hear_until(end)) == end);
    }
  }
}
