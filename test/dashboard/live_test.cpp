#include "dashboard/live.hpp"

#include "http/http_fixture.hpp"

using namespace farol;
using namespace farol::dashboard;
using namespace farol::http_test;
using namespace std::chrono_literals;

namespace {

/// Counts what is asked of it; texts name their sample.
class FakeFeed final : public Feed {
 public:
  explicit FakeFeed(std::size_t size = 0) : padding_(size, 'x') {}
  void sample(TimePoint, std::chrono::system_clock::time_point) override { ++samples; }
  Text snapshot() override { return text("all", snapshots); }
  Text changes() override { return text("some", changes_rendered); }
  std::optional<std::string> history(const std::string&) override { return std::nullopt; }

  std::atomic<std::uint64_t> samples{0};
  std::atomic<int> snapshots{0}, changes_rendered{0};

 private:
  Text text(const char* what, std::atomic<int>& count) {
    ++count;
    const std::uint64_t now = samples;
    return {now, std::make_shared<const std::string>("\"" + std::string(what) + padding_ + "\"")};
  }
  const std::string padding_;
};

http::Responder streaming(Live& live) {
  return http::at_once([&live](const http::Request&) { return live.events(); });
}

std::size_t times(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

/// The numbers behind "id: ".
std::vector<std::uint64_t> ids(const std::string& text) {
  std::vector<std::uint64_t> all;
  for (auto at = text.find("\nid: "); at != std::string::npos; at = text.find("\nid: ", at + 1))
    all.push_back(std::stoull(text.substr(at + 5)));
  return all;
}

bool becomes(const std::function<bool()>& condition) {
  const auto limit = Clock::now() + 10s;
  while (!condition() && Clock::now() < limit) ::poll(nullptr, 0, 5);
  return condition();
}

}  // namespace

TEST_CASE("a watcher gets everything, then each sample's changes without a gap", "[dashboard]") {
  FakeFeed feed;
  Live live(feed, 50ms);
  const TestServer server(streaming(live));
  const Client client(server);
  client.say(get("/"));
  const std::string heard = client.hear([](const std::string& text) { return times(text, "event: tick") >= 5; });
  CHECK(begins(heard, "HTTP/1.1 200 OK\r\n"));
  CHECK(heard.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(heard.find("Content-Length") == std::string::npos);
  CHECK(heard.find("Connection: close\r\n") != std::string::npos);
  CHECK(heard.find("event: snapshot\nid: ") != std::string::npos);
  CHECK(heard.find("\ndata: \"all\"\n\n") != std::string::npos);
  const std::vector<std::uint64_t> numbers = ids(heard);
  for (std::size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i] == numbers[i - 1] + 1);
}

TEST_CASE("nothing is rendered while nobody watches, and once for all who do", "[dashboard]") {
  FakeFeed feed;
  Live live(feed, 50ms);
  REQUIRE(becomes([&] { return feed.samples > 3; }));
  CHECK(feed.changes_rendered == 0);
  const TestServer server(streaming(live));
  const std::uint64_t begun = feed.samples;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->say(get("/"));
  }
  for (const auto& client : clients)
    client->hear([](const std::string& text) { return times(text, "event: tick") >= 4; });
  CHECK(live.watchers() == 50);
  CHECK(feed.changes_rendered <= static_cast<int>(feed.samples - begun) + 3);
}

TEST_CASE("who closes the page is no longer counted", "[dashboard]") {
  FakeFeed feed;
  Live live(feed, 50ms);
  const TestServer server(streaming(live));
  {
    const Client client(server);
    client.say(get("/"));
    REQUIRE(client.hear_until("event: tick").find("event: tick") != std::string::npos);
    CHECK(live.watchers() == 1);
  }
  CHECK(becomes([&] { return live.watchers() == 0; }));
}

TEST_CASE("a watcher that reads too slowly is cut and others go on", "[dashboard]") {
  FakeFeed feed(1 << 18);
  Live live(feed, 60ms);  // who is quick needs no more than 4 MB/s
  http::Limits limits;
  limits.write_timeout = 1s;
  limits.close_timeout = 100ms;
  const TestServer server(streaming(live), limits);
  const Client slow(server, 4096);
  slow.say(get("/"));
  const Client quick(server);
  quick.say(get("/"));
  REQUIRE(becomes([&] { return live.watchers() == 2; }));
  const std::string heard = quick.hear([&](const std::string&) { return live.watchers() == 1; });
  CHECK(live.watchers() == 1);  // before the text is searched, for meanwhile nobody reads
  CHECK(times(heard, "event: tick") > 1);
}

TEST_CASE("a watcher that does not read is cut long before its socket's buffer is full", "[dashboard]") {
  FakeFeed feed(400);
  Live live(feed, 10ms);
  http::Limits limits;
  limits.write_timeout = 500ms;
  limits.close_timeout = 100ms;
  const TestServer server(streaming(live), limits);
  const Client idle(server, 4096);
  idle.say(get("/"));
  const Client quick(server);
  quick.say(get("/"));
  REQUIRE(becomes([&] { return live.watchers() == 2; }));
  const std::uint64_t begun = feed.samples;
  const std::string heard = quick.hear([&](const std::string&) { return live.watchers() == 1; });
  CHECK(live.watchers() == 1);
  CHECK(feed.samples - begun < 600);  // 250 KB; a buffer takes megabytes
  CHECK(times(heard, "event: tick") > 10);
}

TEST_CASE("a watcher that fell behind is cut rather than left with a gap", "[dashboard]") {
  FakeFeed feed(1 << 20);
  Live live(feed, 10ms);
  const TestServer server(streaming(live));
  const Client client(server, 65536);
  client.say(get("/"));
  REQUIRE(becomes([&] { return live.watchers() == 1; }));
  const std::uint64_t begun = feed.samples;
  // What lies in the sockets' buffers is no more than ten of them.
  REQUIRE(becomes([&] { return feed.samples > begun + 20 + 2 * Live::kKept; }));
  constexpr std::size_t kFarTooMuch = 64 << 20;
  const std::string heard = client.hear([](const std::string& text) { return text.size() > kFarTooMuch; });
  CHECK(heard.size() < kFarTooMuch);
  const std::vector<std::uint64_t> numbers = ids(heard);
  CHECK_FALSE(numbers.empty());
  for (std::size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i] == numbers[i - 1] + 1);
  CHECK(becomes([&] { return live.watchers() == 0; }));
}

TEST_CASE("watchers are sent away when another process serves them", "[dashboard]") {
  FakeFeed feed;
  Live live(feed, 20ms);
  const TestServer server(streaming(live));
  const Client client(server);
  client.say(get("/"));
  REQUIRE(client.hear_until("event: tick").find("event: tick") != std::string::npos);
  live.send_away();
  std::size_t more = 0;
  client.hear([&](const std::string& text) { return (more = times(text, "event: tick")) > 100; });
  CHECK(more <= 100);
  CHECK(becomes([&] { return live.watchers() == 0; }));
}

TEST_CASE("more watchers than there is room for are told so", "[dashboard]") {
  FakeFeed feed;
  Live live(feed);
  std::vector<http::Response> open;
  for (std::size_t i = 0; i < Live::kMostWatchers; ++i) open.push_back(live.events());
  CHECK(open.back().status() == 200);
  const http::Response refused = live.events();
  CHECK(refused.status() == 503);
  CHECK(refused.field("Retry-After") == "10");
  open.pop_back();
  CHECK(live.events().status() == 200);
}

TEST_CASE("a server that is stopped does not wait for the next sample", "[dashboard]") {
  FakeFeed feed;
  Live live(feed, 1h);
  auto server = std::make_unique<TestServer>(streaming(live));
  const Client client(*server);
  client.say(get("/"));
  REQUIRE(client.hear_until("event: snapshot").find("event: snapshot") != std::string::npos);
  const auto begun = Clock::now();
  server.reset();
  CHECK(Clock::now() - begun < 5s);
}
