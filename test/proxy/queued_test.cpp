#include "proxy/queued.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "proxy/session_fixture.hpp"

// Clients that wait for a back-end, and those who have too many connections, on every engine.

using namespace farol;
using namespace farol::test;

namespace {

constexpr auto kLong = 60s;  ///< longer than any test waits

ProxyUnderTest::Options waiting_for(Duration timeout, std::uint32_t per_backend = 0) {
  ProxyUnderTest::Options options;
  options.queue_timeout = timeout;
  options.per_backend = per_backend;
  return options;
}

/// One exchange on a connection that is there.
bool talk(const Peer& client, const Peer& server) {
  return client.send("hello") && server.read(5) == "hello" && server.send("hi") && client.read(2) == "hi";
}

void end(Pair& pair) {
  pair.client.close();
  pair.server.close();
}

}  // namespace

TEST_CASE("queue: a client waits for the first back-end, and what it said meanwhile arrives once", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {}, waiting_for(kLong));
  const Peer client = proxy.client();
  REQUIRE(client.send("hello"));
  REQUIRE(proxy.waits(1));
  proxy.add_backend(server.address());
  Peer side = server.accept();
  CHECK(side.read(5) == "hello");
  client.shutdown_write();
  CHECK(side.read_to_end().bytes.empty());
  side.close();
  CHECK(proxy.next_session()["cause"] == "--");
  CHECK(proxy.table().waiting() == 0);
}

TEST_CASE("queue: a client waits until a full back-end has room, and they come in their order", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(kLong, 1));
  Pair now = connect_through(proxy, server);
  std::list<Peer> waiting;
  for (std::size_t i = 0; i < 5; ++i) {
    waiting.push_back(proxy.client());
    REQUIRE(waiting.back().send(std::to_string(i)));
    REQUIRE(proxy.waits(i + 1));
  }
  CHECK_FALSE(server.has_client(50ms));
  for (int i = 0; i < 5; ++i) {
    end(now);
    now = Pair{std::move(waiting.front()), server.accept()};
    waiting.pop_front();
    CHECK(now.server.read(1) == std::to_string(i));
    CHECK(talk(now.client, now.server));
    CHECK(proxy.table().status(Clock::now())[0].connections_active == 1);
  }
}

TEST_CASE("queue: the wait ends with the event, not some time after it", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(kLong, 1));
  Duration quickest = kLong;
  for (int i = 0; i < 10; ++i) {
    Pair first = connect_through(proxy, server);
    Peer second = proxy.client();
    REQUIRE(proxy.waits(1));
    const TimePoint made_room = Clock::now();
    end(first);
    Peer side = server.accept();
    quickest = std::min<Duration>(quickest, Clock::now() - made_room);
    second.close();
    side.close();
    REQUIRE(eventually([&] { return proxy.engine().active() == 0; }));
  }
  CHECK(quickest < 20ms);  // the engines look at their sessions each 100 ms, the table each 100
}

TEST_CASE("queue: who waited for too long is closed, and counted", "[queue]") {
  const auto engine = GENERATE(every_engine());
  ProxyUnderTest proxy(engine, {}, waiting_for(300ms));
  const TimePoint came = Clock::now();
  CHECK(proxy.client().read_to_end().bytes.empty());
  CHECK(Clock::now() - came > 290ms);
  CHECK(Clock::now() - came < 3s);
  auto line = proxy.next_session();
  CHECK(line["cause"] == "sQ");
  CHECK(line["backend"] == "<NOSRV>");
  CHECK(proxy.rejected("queue_timeout") == 1);
  CHECK(proxy.rejected("no_backend") == 0);
  CHECK(proxy.table().waiting() == 0);
}

TEST_CASE("queue: with the queue full a client is closed at once, and those in it are unharmed", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  auto options = waiting_for(kLong);
  options.max_queue = 2;
  ProxyUnderTest proxy(engine, {}, options);
  const Peer one = proxy.client(), two = proxy.client();
  REQUIRE(proxy.waits(2));
  CHECK(proxy.client().read_to_end().bytes.empty());
  CHECK(proxy.next_session()["cause"] == "PQ");
  CHECK(proxy.rejected("queue_full") == 1);
  proxy.add_backend(server.address());
  const Peer first = server.accept(), second = server.accept();
  REQUIRE(first.send("x"));
  REQUIRE(second.send("x"));
  CHECK(one.read(1) == "x");
  CHECK(two.read(1) == "x");
}

TEST_CASE("queue: a full back-end with no wait closes the client at once", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(0s, 1));
  const Pair pair = connect_through(proxy, server);
  CHECK(proxy.client().read_to_end().bytes.empty());
  CHECK(proxy.next_session()["cause"] == "SC");
  CHECK(proxy.rejected("no_backend") == 1);
  CHECK(talk(pair.client, pair.server));
}

TEST_CASE("queue: a client that resets its connection leaves it, one that closes its half stays", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {}, waiting_for(kLong));
  Peer impatient = proxy.client();
  REQUIRE(proxy.waits(1));
  const Peer patient = proxy.client();
  REQUIRE(proxy.waits(2));
  REQUIRE(patient.send("all I have to say"));
  patient.shutdown_write();
  REQUIRE(impatient.send("never mind"));
  impatient.shutdown_write();
  impatient.reset();
  REQUIRE(proxy.waits(1));
  CHECK(proxy.next_session()["cause"] == "CQ");
  proxy.add_backend(server.address());
  const Peer side = server.accept();
  CHECK(side.read_to_end().bytes == "all I have to say");
  REQUIRE(side.send("the answer"));
  CHECK(patient.read(10) == "the answer");
  CHECK_FALSE(server.has_client(50ms));
  std::uint64_t refused = 0;
  for (const proxy::Counter& counter : proxy.status().rejected) refused += counter.count;
  CHECK(refused == 0);  // it was not we who ended it
}

TEST_CASE("queue: who was refused by one waits for another that is only full", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(kLong, 1));
  Pair pair = connect_through(proxy, server);
  const RefusingServer dead;
  proxy.add_backend(dead.address());
  const Peer second = proxy.client();
  REQUIRE(proxy.waits(1));
  CHECK(proxy.state_of(dead.address()) == "ejected");
  end(pair);
  const Peer side = server.accept();
  CHECK(talk(second, side));
}

TEST_CASE("queue: all waits of one client together take no longer than one", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(1500ms, 1));
  const Pair pair = connect_through(proxy, server);
  const TimePoint came = Clock::now();
  const Peer second = proxy.client();
  REQUIRE(proxy.waits(1));
  std::this_thread::sleep_until(came + 900ms);  // the first wait
  const RefusingServer dead;
  proxy.add_backend(dead.address());
  CHECK(eventually([&] { return proxy.state_of(dead.address()) == "ejected"; }));
  CHECK(second.read_to_end().bytes.empty());
  CHECK(Clock::now() - came > 1490ms);
  CHECK(Clock::now() - came < 2200ms);
  const auto line = proxy.next_session();
  CHECK(line.at("cause") == "sQ");
}

TEST_CASE("queue: a stopping proxy still serves who waits, and the cut ends the wait", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, waiting_for(kLong, 1));
  Pair pair = connect_through(proxy, server);
  const Peer second = proxy.client();
  REQUIRE(proxy.waits(1));
  const Peer third = proxy.client();
  REQUIRE(proxy.waits(2));
  proxy.engine().stop();
  end(pair);
  const Peer side = server.accept();
  CHECK(talk(second, side));
  const TimePoint cut_at = Clock::now();
  proxy.engine().cut();
  CHECK(third.read_to_end().bytes.empty());
  proxy.end();
  CHECK(Clock::now() - cut_at < 2s);
  CHECK(proxy.table().waiting() == 0);
  CHECK(proxy.table().status(Clock::now())[0].connections_active == 0);
}

TEST_CASE("queue: a crowd goes through a narrow place, each once", "[queue]") {
  const auto engine = GENERATE(every_engine());
  constexpr std::size_t kCrowd = 200;
  const ScriptedServer one, two;
  auto options = waiting_for(kLong, 2);
  options.log_level = LogLevel::error;
  ProxyUnderTest proxy(engine, {one.address(), two.address()}, options);
  std::vector<Peer> clients;
  for (std::size_t i = 0; i < kCrowd; ++i) {
    clients.push_back(proxy.client());
    REQUIRE(clients.back().send("x"));
    clients.back().shutdown_write();
  }
  std::size_t served = 0;
  while (served < kCrowd) {
    REQUIRE(eventually([&] { return one.has_client(0ms) || two.has_client(0ms); }));
    for (const proxy::BackendStatus& row : proxy.table().status(Clock::now())) REQUIRE(row.connections_active <= 2);
    const Peer side = (one.has_client(0ms) ? one : two).accept();
    REQUIRE(side.read_to_end().bytes == "x");
    REQUIRE(side.send("y"));
    ++served;
  }
  for (const Peer& client : clients) CHECK(client.read_to_end().bytes == "y");
  CHECK(eventually([&] { return proxy.engine().active() == 0; }));
  for (const proxy::BackendStatus& row : proxy.table().status(Clock::now())) CHECK(row.connections_active == 0);
}

TEST_CASE("source limit: one more is closed, the others are unharmed, and the place is given back", "[queue]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest::Options options;
  options.per_source = 2;
  ProxyUnderTest proxy(engine, {server.address()}, options);
  Pair one = connect_through(proxy, server), two = connect_through(proxy, server);
  CHECK(proxy.client().read_to_end().bytes.empty());
  CHECK(proxy.rejected("source_limit") == 1);
  CHECK(proxy.status().connections_total == 2);
  CHECK_FALSE(server.has_client(50ms));
  const Peer stranger = Peer::connect(proxy.address(), {}, Address::ipv4(0x7f000002, 0));
  const Peer side = server.accept();
  CHECK(talk(stranger, side));
  CHECK(talk(one.client, one.server));
  CHECK(talk(two.client, two.server));
  end(one);
  proxy.next_session();
  REQUIRE(eventually([&] { return proxy.engine().active() == 2; }));
  Pair again = connect_through(proxy, server);
  CHECK(talk(again.client, again.server));
}
