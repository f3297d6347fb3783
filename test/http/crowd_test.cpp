#include "http/crowd.hpp"

#include <list>

#include "http/http_fixture.hpp"

using namespace farol;
using namespace farol::http_test;
using namespace std::chrono_literals;

namespace {

struct Guest final : http::Crowd::Place {
  explicit Guest(http::Crowd& crowd) : Place(&crowd) { enter(); }
  ~Guest() { leave(); }
  void make_room() noexcept override { told_to_go = true; }
  bool told_to_go = false;
};

/// A server for four, and some who are leaving, whose answer "/large" is more than sockets hold.
class SmallServer {
 public:
  explicit SmallServer(EngineKind kind)
      : engine_(start_engine(
            kind, {listener_},
            [this](Io& io, Accepted client) {
              return http::serve_connection(io, std::move(client), responder_, {}, nullptr, &crowd_);
            },
            {.max_connections = 12}, log_)) {}
  [[nodiscard]] const Address& address() const { return listener_->address(); }

 private:
  const Logger log_{-1, LogLevel::error, LogFormat::text};
  const http::Responder responder_ = http::at_once([](const http::Request& request) {
    return request.target == "/large" ? http::Response().body("text/plain", std::string(12 * 1024 * 1024, 'x'))
                                      : http::plain(200, "hello");
  });
  http::Crowd crowd_{4};
  const std::shared_ptr<const Listener> listener_ = std::make_shared<Listener>(*Address::parse("127.0.0.1:0"));
  std::unique_ptr<Engine> engine_;
};

bool is_answered(const SmallServer& server) {
  const Client client(server.address());
  client.say(get("/", kClose));
  return body_of(client.hear_to_end()) == "hello\n";
}

}  // namespace

TEST_CASE("Crowd: who has not got on for longest has to go, and is told once", "[http]") {
  http::Crowd crowd(2);
  auto first = std::make_unique<Guest>(crowd);
  Guest second(crowd);
  first->got_on();
  Guest third(crowd);
  CHECK(second.told_to_go);
  CHECK_FALSE(first->told_to_go);
  second.told_to_go = false;
  second.got_on();  // too late
  Guest fourth(crowd);
  CHECK_FALSE(second.told_to_go);
  CHECK(first->told_to_go);
  first.reset();
  third.leave();
  const Guest fifth(crowd);
  CHECK_FALSE(fourth.told_to_go);
}

TEST_CASE("those who say nothing more keep nobody out", "[http]") {
  const auto kind = GENERATE(values({EngineKind::threads, EngineKind::epoll}));
  const SmallServer server(kind);
  std::list<Client> silent;
  for (int i = 0; i < 40; ++i) {
    silent.emplace_back(server.address());
    silent.back().say(get("/"));  // so that it is inside for certain
    CHECK(begins(silent.back().hear_until("hello\n"), "HTTP/1.1 200 OK\r\n"));
    if (i % 2 == 0) silent.back().say("GET / HT");  // half a request is nothing either
    REQUIRE(is_answered(server));
  }
  CHECK(silent.front().hear_to_end().empty());  // closed, without a word
}

TEST_CASE("those who ask and do not read keep nobody out", "[http]") {
  const auto kind = GENERATE(values({EngineKind::threads, EngineKind::epoll}));
  const SmallServer server(kind);
  std::list<Client> stuck;
  for (int i = 0; i < 20; ++i) {
    stuck.emplace_back(server.address(), 4096).say(get("/large"));
    CHECK(stuck.back().has_heard(10s));
    REQUIRE(is_answered(server));
  }
}

TEST_CASE("who asks again and again is not sent away for those who do not", "[http]") {
  const SmallServer server(EngineKind::threads);
  const Client busy(server.address());
  std::list<Client> silent;
  for (int i = 0; i < 20; ++i) {
    busy.say(get("/"));
    CHECK(begins(busy.hear_until("hello\n"), "HTTP/1.1 200 OK\r\n"));
    silent.emplace_back(server.address()).say(get("/"));
    CHECK(begins(silent.back().hear_until("hello\n"), "HTTP/1.1 200 OK\r\n"));
  }
}
