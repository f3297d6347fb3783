#include <catch2/catch.hpp>
#include <list>

#include "fileserver/server.hpp"
#include "fileserver/served_directory.hpp"
#include "gateway/server.hpp"
#include "http/http_fixture.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace std::chrono_literals;
using farol::test::random_text;
using farol::test::ServedDirectory;
using http_test::begins;
using http_test::body_of;
using http_test::get;
using http_test::kClose;

namespace {

/// A FastFileSrv in a thread of its own.
class FileServer {
 public:
  FileServer(const std::string& root, const std::string& name, const Address& gateway, const Logger& log)
      : files_(root, hashes_),
        config_{.common = {}, .gateway = {gateway.ip_text(), gateway.port()}, .root = root, .name = name},
        server_(config_, socket_, files_, log),
        hashing_("hash", [this] { hashes_.run(stop_); }),
        serving_("serve", [this] { server_.run(stop_); }) {}
  ~FileServer() { stop_.fire(); }

 private:
  fileserver::ContentHashes hashes_;
  fileserver::FileStore files_;
  const fileserver::Config config_;
  transfer::TransferSocket socket_{*Address::parse("127.0.0.1:0")};
  StopEvent stop_;
  fileserver::Server server_;
  Thread hashing_, serving_;
};

/// The whole system in one process.
struct System {
  ServedDirectory directory;
  const Logger log{-1, LogLevel::error, LogFormat::text};
  Config config;
  std::optional<GatewayServer> gateway;
  std::list<FileServer> servers;

  explicit System(int count, EngineKind engine = EngineKind::threads) {
    config.listen = *Address::parse("127.0.0.1:0");
    config.engine = engine;
    config.workers = 2;
    gateway.emplace(config, log);
    for (int i = 0; i < count; ++i) add("s" + std::to_string(i));
  }
  void add(const std::string& name) {
    const std::size_t before = gateway->status().pool.servers.size();
    servers.emplace_back(directory.root(), name, gateway->address(), log);
    const TimePoint limit = Clock::now() + 10s;
    while (gateway->status().pool.servers.size() == before && Clock::now() < limit) ::poll(nullptr, 0, 5);
    REQUIRE(gateway->status().pool.servers.size() == before + 1);
  }
  void write(const std::string& name, const std::string& content) const {
    directory.write(name, content);
    directory.set_mtime(name, 1'600'000'000'123'456'789);
  }
  std::string ask(const std::string& request) const {
    const http_test::Client client(gateway->address());
    client.say(request);
    return client.hear_to_end();
  }
  std::string body(const std::string& target) const { return body_of(ask(get(target, kClose))); }
};

}  // namespace

TEST_CASE("gateway: files come whole over HTTP from three file servers, on both engines", "[gateway]") {
  const System system(3, GENERATE(EngineKind::threads, EngineKind::events));
  for (const std::size_t size : {0UL, 1UL, 1183UL, 1184UL, 1185UL, 75'776UL, 1'000'000UL, 10'000'000UL}) {
    const std::string content = random_text(size);
    system.write("f", content);
    CHECK(system.body("/f") == content);
  }
  system.write("a b/\xC3\xA9%.jpg", "odd");
  const std::string answer = system.ask(get("/a%20b/%C3%A9%25.jpg", kClose));
  CHECK(body_of(answer) == "odd");
  CHECK(begins(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Content-Type: image/jpeg\r\n") != std::string::npos);
  CHECK(answer.find("Content-Length: 3\r\n") != std::string::npos);
  CHECK(answer.find("Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT\r\n") != std::string::npos);
  CHECK(answer.find("ETag: ") != std::string::npos);
}

TEST_CASE("gateway: the entity tag is strong once the content has been hashed", "[gateway]") {
  const System system(1);
  system.write("f", "content");
  std::string answer = system.ask(get("/f", kClose));
  CHECK(answer.find("ETag: ") != std::string::npos);
  for (int i = 0; i < 500 && answer.find("ETag: \"ed7002b439e9ac845f22357d822bac14\"") == std::string::npos; ++i) {
    ::poll(nullptr, 0, 20);
    answer = system.ask(get("/f", kClose));
  }
  CHECK(answer.find("ETag: \"ed7002b439e9ac845f22357d822bac14\"\r\n") != std::string::npos);  // of its SHA-256
}

TEST_CASE("gateway: every status has its cause", "[gateway]") {
  const System system(1);
  system.write("f", random_text(5000));
  const auto status = [&](const std::string& request) { return system.ask(request).substr(9, 3); };
  CHECK(status(get("/f", kClose)) == "200");
  CHECK(status(get("/nothing", kClose)) == "404");
  CHECK(status(get("/", kClose)) == "404");
  CHECK(status(get("/../f", kClose)) == "400");
  CHECK(status(get("/%00", kClose)) == "400");
  CHECK(status(get("/" + std::string(9000, 'a'))) == "414");
  CHECK(status(get("/f", "X: " + std::string(20'000, 'a') + "\r\n")) == "431");
  CHECK(status("POST /f HTTP/1.1\r\nHost: x\r\n" + kClose + "\r\n") == "405");
  CHECK(status("BREW /f HTTP/1.1\r\nHost: x\r\n\r\n") == "501");
  CHECK(status(get("/f", kClose + "Range: bytes=10-19\r\n")) == "206");
  CHECK(status(get("/f", kClose + "Range: bytes=5000-\r\n")) == "416");
  CHECK(status(get("/f", kClose + "If-None-Match: *\r\n")) == "304");
  CHECK(status(get("/f", kClose + "If-Match: \"x\"\r\n")) == "412");
  const System empty(0);
  const std::string nobody = empty.ask(get("/f", kClose));
  CHECK(begins(nobody, "HTTP/1.1 503 "));
  CHECK(nobody.find("Retry-After: ") != std::string::npos);
}

TEST_CASE("gateway: HEAD, ranges and keep-alive agree with GET", "[gateway]") {
  const System system(2);
  const std::string content = random_text(300'000);
  system.write("f.txt", content);
  const http_test::Client client(system.gateway->address());
  client.say("HEAD /f.txt HTTP/1.1\r\nHost: x\r\n\r\n" + get("/f.txt") + get("/f.txt", "Range: bytes=-7\r\n") +
             get("/none") + get("/f.txt", "Range: bytes=100000-199999\r\n" + kClose));
  const std::string answers = client.hear_to_end();
  CHECK(begins(answers, "HTTP/1.1 200 OK\r\n"));
  const auto whole = answers.find("\r\n\r\nHTTP/1.1 200 OK\r\n");  // nothing between HEAD and the next answer
  REQUIRE(whole != std::string::npos);
  CHECK(answers.find(content) != std::string::npos);
  CHECK(answers.find("Content-Range: bytes 299993-299999/300000\r\n") != std::string::npos);
  CHECK(answers.find("HTTP/1.1 404 ") != std::string::npos);
  CHECK(answers.find("Content-Range: bytes 100000-199999/300000\r\n") != std::string::npos);
  CHECK(answers.substr(answers.size() - 100'000) == content.substr(100'000, 100'000));
}

TEST_CASE("gateway: a server that goes in the middle of a file costs nothing", "[gateway]") {
  System system(3);
  const std::string content = random_text(30'000'000);
  system.write("f", content);
  const http_test::Client client(system.gateway->address());
  client.say(get("/f", kClose));
  std::string answer = client.hear([](const std::string& heard) { return heard.size() > 5'000'000; });
  system.servers.pop_front();
  answer += client.hear_to_end();
  CHECK(body_of(answer) == content);
}

TEST_CASE("gateway: a missing file leaves the pool as it is, and a new server helps", "[gateway]") {
  System system(2);
  for (int i = 0; i < 5; ++i) CHECK(begins(system.ask(get("/typo", kClose)), "HTTP/1.1 404 "));
  CHECK(system.gateway->status().pool.servers.size() == 2);
  system.add("late");
  system.write("f", "here");
  CHECK(system.body("/f") == "here");
}

TEST_CASE("gateway: many clients at once", "[gateway]") {
  const System system(3, GENERATE(EngineKind::threads, EngineKind::events));
  const std::string content = random_text(400'000);
  system.write("f", content);
  std::list<http_test::Client> clients;
  for (int i = 0; i < 30; ++i) {
    clients.emplace_back(system.gateway->address());
    clients.back().say(get("/f", kClose));
  }
  for (const auto& client : clients) CHECK(body_of(client.hear_to_end()) == content);
  CHECK(system.gateway->status().pool.transfers == 0);
}

TEST_CASE("gateway: ending in the middle of a download leaves no complete-looking body", "[gateway]") {
  System system(2);
  system.write("f", random_text(30'000'000));
  const http_test::Client client(system.gateway->address(), 4096);
  client.say(get("/f"));
  std::string answer = client.hear([](const std::string& heard) { return heard.size() > 100'000; });
  system.gateway.reset();
  answer += client.hear_to_end();
  CHECK(body_of(answer).size() < 30'000'000);
}
