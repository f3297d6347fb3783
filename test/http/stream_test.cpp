#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/doorbell.hpp"
#include "http/body_source.hpp"
#include "http/http_fixture.hpp"

using namespace farol;
using namespace farol::http_test;
using namespace std::chrono_literals;

namespace {

std::byte pattern(std::uint64_t at) { return static_cast<std::byte>((at * 2654435761U) >> 13); }

std::string expected(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(pattern(i));
  return text;
}

/// What the source of a test does, and what it saw.
struct Plan {
  std::size_t length = 0;
  std::size_t piece = 1000;
  std::size_t fails_at = SIZE_MAX;
  bool from_thread = false;
  std::atomic<std::size_t> asked{0};
  std::atomic<int> alive{0};
};

/// Pieces of a pattern; where the plan says so, each is made by another thread that rings when it is there.
class PatternSource final : public http::BodySource {
 public:
  explicit PatternSource(Plan& plan) : plan_(plan) { ++plan_.alive; }
  ~PatternSource() override { --plan_.alive; }

  Task<std::span<const std::byte>> next(Io& io) override {
    ++plan_.asked;
    if (at_ >= plan_.fails_at) co_return std::span<const std::byte>{};
    if (!plan_.from_thread) {
      make();
    } else {
      Doorbell bell(io);
      ready_ = false;
      const std::jthread maker([&] {
        make();
        ready_ = true;
        bell.ring();
      });
      for (;;) {
        bell.clear();
        if (ready_) break;
        const Wait wait = co_await bell.rung(Clock::now() + 10s);
        if (wait != Wait::ready) co_return std::span<const std::byte>{};
      }
    }
    co_return std::span<const std::byte>(buffer_);
  }

 private:
  void make() {
    buffer_.resize(plan_.piece);  // the last one too: the server takes no more than it announced
    for (std::byte& byte : buffer_) byte = pattern(at_++);
  }

  Plan& plan_;
  std::uint64_t at_ = 0;
  std::atomic<bool> ready_{false};
  std::vector<std::byte> buffer_;
};

http::Responder streaming(Plan& plan) {
  return http::at_once([&plan](const http::Request& request) {
    if (request.target == "/plain") return http::plain(200, "plain");
    http::Response response;
    response.stream("application/octet-stream", plan.length, std::make_unique<PatternSource>(plan));
    return response;
  });
}

}  // namespace

TEST_CASE("a streamed body arrives whole on both engines", "[stream]") {
  const EngineKind kind = GENERATE(EngineKind::threads, EngineKind::events);
  const bool from_thread = GENERATE(false, true);
  const std::size_t piece = GENERATE(1U, 1000U, 100'000U);
  Plan plan;
  plan.length = piece == 1 ? 50 : 3 * piece - 7;
  plan.piece = piece;
  plan.from_thread = from_thread;
  const TestServer server(streaming(plan), {}, kind);
  const Client client(server);
  client.say(get("/a") + get("/plain") + get("/b", kClose));
  const std::string answers = client.hear_to_end();
  const std::string body = expected(plan.length);
  CHECK(begins(answers, "HTTP/1.1 200 OK\r\n"));
  const auto first = answers.find(body);
  REQUIRE(first != std::string::npos);
  CHECK(answers.find("Content-Length: " + std::to_string(plan.length) + "\r\n") < first);
  CHECK(answers.substr(first + body.size(), 15) == "HTTP/1.1 200 OK");
  CHECK(answers.find("plain\n", first) != std::string::npos);
  CHECK(answers.size() - answers.rfind(body) == body.size());
  CHECK(answers.rfind(body) != first);
  CHECK(plan.alive == 0);
}

TEST_CASE("HEAD has the fields of a streamed body and asks for none of it", "[stream]") {
  Plan plan;
  plan.length = 5'000'000'000;
  const TestServer server(streaming(plan));
  const Client client(server);
  client.say("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/plain", kClose));
  const std::string answers = client.hear_to_end();
  CHECK(answers.find("Content-Length: 5000000000\r\n") != std::string::npos);
  CHECK(answers.find("\r\n\r\nHTTP/1.1 200 OK\r\n") != std::string::npos);
  CHECK(plan.asked == 0);
}

TEST_CASE("an empty streamed body is a complete response", "[stream]") {
  Plan plan;
  const TestServer server(streaming(plan));
  const Client client(server);
  client.say(get("/a") + get("/plain", kClose));
  const std::string answers = client.hear_to_end();
  CHECK(answers.find("Content-Length: 0\r\n") != std::string::npos);
  CHECK(answers.find("plain\n") != std::string::npos);
  CHECK(plan.asked == 0);
}

TEST_CASE("a body that fails ends the connection early and never looks complete", "[stream]") {
  const EngineKind kind = GENERATE(EngineKind::threads, EngineKind::events);
  Plan plan;
  plan.length = 10'000;
  plan.fails_at = 5000;
  const TestServer server(streaming(plan), {}, kind);
  const Client client(server);
  client.say(get("/a") + get("/plain"));
  const std::string answer = client.hear_to_end();
  CHECK(answer.find("Content-Length: 10000\r\n") != std::string::npos);
  CHECK(body_of(answer) == expected(5000));
  CHECK(answer.find("plain") == std::string::npos);
  CHECK(server.becomes_idle());
  CHECK(plan.alive == 0);
}

TEST_CASE("a source is asked only as fast as its client takes", "[stream]") {
  const EngineKind kind = GENERATE(EngineKind::threads, EngineKind::events);
  Plan plan;
  plan.length = 1'000'000'000;
  plan.piece = 64 * 1024;
  const TestServer server(streaming(plan), {.write_timeout = 500ms, .close_timeout = 100ms}, kind);
  const Client client(server, 4096);
  client.say(get("/a"));
  CHECK(begins(client.hear_until("\r\n\r\n"), "HTTP/1.1 200 OK\r\n"));
  CHECK(server.becomes_idle());  // it reads no further: cut by the write time-out
  CHECK(plan.asked < 200);       // what the socket buffers hold, not the body
  CHECK(plan.alive == 0);
}

TEST_CASE("draining ends idle connections, and the others with their response", "[stream]") {
  const EngineKind kind = GENERATE(EngineKind::threads, EngineKind::events);
  std::atomic<bool> draining{false};
  Plan plan;
  plan.length = 4'000'000;
  const TestServer server(streaming(plan), {}, kind, &draining);
  const Client idle(server), busy(server, 4096);
  idle.say(get("/plain"));
  CHECK(body_of(idle.hear_until("plain\n")) == "plain\n");
  busy.say(get("/a"));
  const std::string begun = busy.hear_until("\r\n\r\n");
  draining = true;
  CHECK(idle.hear_to_end().empty());
  busy.say(get("/plain"));
  const std::string rest = busy.hear_to_end();
  CHECK(body_of(begun + rest).size() >= plan.length);
  CHECK(server.becomes_idle());
}

TEST_CASE("a ring is not lost, however it falls between look and wait", "[stream]") {
  const EngineKind kind = GENERATE(EngineKind::threads, EngineKind::events);
  constexpr int kRings = 2000;
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<int> rung{0}, seen{0};
  Doorbell* bell_of_test = nullptr;
  const http::Responder responder = [&](Io& io, const http::Request&) -> Task<http::Response> {
    Doorbell bell(io);
    {
      const std::lock_guard lock(mutex);
      bell_of_test = &bell;
    }
    changed.notify_all();
    for (int next = 1; next <= kRings;) {
      bell.clear();
      if (rung >= next) {
        seen = next++;
        continue;
      }
      const Wait wait = co_await bell.rung(Clock::now() + 10s);
      if (wait != Wait::ready) break;
    }
    const std::lock_guard lock(mutex);
    bell_of_test = nullptr;
    co_return http::plain(200, std::to_string(seen));
  };
  const TestServer server(responder, {}, kind);
  const Client client(server);
  client.say(get("/", kClose));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return bell_of_test != nullptr; });
  for (int i = 1; i <= kRings; ++i) {
    rung = i;
    bell_of_test->ring();
    const auto limit = Clock::now() + 10s;
    while (seen < i && Clock::now() < limit) std::this_thread::yield();
    if (seen < i || i == kRings) break;
  }
  lock.unlock();
  CHECK(body_of(client.hear_to_end()) == std::to_string(kRings) + "\n");
}
