#include "proxy/session.hpp"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "common/error.hpp"
#include "common/thread.hpp"
#include "proxy/backend_table_access.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

constexpr Buffers kSmall{16 * 1024, 16 * 1024};

ProxyUnderTest::Options with_limits(Duration idle, Duration fin) {
  ProxyUnderTest::Options options;
  options.idle = idle;
  options.fin = fin;
  return options;
}

/// Both sides of a session end; returns how long after `from`.
Duration until_cut(const Pair& pair, TimePoint from) {
  pair.client.read_to_end();
  pair.server.read_to_end();
  return Clock::now() - from;
}

/// One exchange through a session that someone accepted.
bool talks(const Peer& client, const Peer& side) {
  return client.send("hello") && side.read(5) == "hello" && side.send("hi") && client.read(2) == "hi";
}

}  // namespace

TEST_CASE("session: it ends when nobody has said anything for the idle time-out", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(300ms, 30s));
  const TimePoint from = Clock::now();  // the silence cannot begin before
  const Pair pair = connect_through(proxy, server);
  const Duration took = until_cut(pair, from);
  CHECK(took >= 300ms);
  CHECK(took < 3s);
  CHECK(proxy.next_session()["cause"] == "cD");
}

TEST_CASE("session: the idle time-out counts although unread bytes are stuck in both directions", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server(kSmall);
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(500ms, 30s));
  Pair pair = connect_through(proxy, server, kSmall);
  const std::string chunk(64 * kKiB, 'x');
  // Nobody reads, both send until nothing moves any more.
  while (pair.client.send_some(chunk) + pair.server.send_some(chunk) > 0) ::poll(nullptr, 0, 5);
  CHECK(proxy.next_session()["cause"] == "cD");
}

TEST_CASE("session: traffic in one direction keeps the other alive", "[session]") {
  const auto engine = GENERATE(every_engine());
  const bool client_talks = GENERATE(true, false);
  const ScriptedServer server;
  const Duration idle = kScale == 1 ? 600ms : 1500ms;  // no word may be so late
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(idle, 30s));
  const Pair pair = connect_through(proxy, server);
  const Peer& speaker = client_talks ? pair.client : pair.server;
  const Peer& listener = client_talks ? pair.server : pair.client;
  const TimePoint enough = Clock::now() + 5 * idle / 2;
  while (Clock::now() < enough) {
    REQUIRE(speaker.send("."));
    REQUIRE(listener.read(1) == ".");
    (void)speaker.readable(100ms);  // it never is: this is the pause between two words
  }
  REQUIRE(listener.send("!"));
  CHECK(speaker.read(1) == "!");
}

TEST_CASE("session: with no idle time-out silence is allowed", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(0s, 0s));
  const Pair pair = connect_through(proxy, server);
  CHECK_FALSE(pair.client.readable(500ms));
  pair.client.shutdown_write();
  CHECK(pair.server.read_to_end().bytes.empty());
  CHECK_FALSE(pair.client.readable(500ms));
  REQUIRE(pair.server.send("late"));
  CHECK(pair.client.read(4) == "late");
}

TEST_CASE("session: once one side has closed its half the fin time-out counts", "[session]") {
  const auto engine = GENERATE(every_engine());
  const bool client_closes = GENERATE(true, false);
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(60s, 300ms));
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.client.send("x"));
  REQUIRE(pair.server.read(1) == "x");
  CHECK_FALSE(pair.client.readable(700ms));  // not yet
  const TimePoint closed = Clock::now();
  (client_closes ? pair.client : pair.server).shutdown_write();
  CHECK(until_cut(pair, closed) < 3s);
  CHECK(proxy.next_session()["cause"] == "cD");
}

TEST_CASE("session: a slow reader is waited for as long as it reads", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  const std::string file = seeded_bytes(12 * kMiB, 15);  // more than the kernel holds on the way
  constexpr auto fin = 1500ms;                           // a busy machine makes the reader slower than it means to be
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(60s, fin));
  Pair pair = connect_through(proxy, server);
  pair.client.shutdown_write();
  CHECK(pair.server.read_to_end().bytes.empty());
  Thread sender("sender", [&] {
    pair.server.send(file);
    pair.server.shutdown_write();
  });
  std::string heard;
  for (const TimePoint enough = Clock::now() + 4 * fin; Clock::now() < enough; ::poll(nullptr, 0, 48))
    heard += pair.client.read(16 * kKiB);  // the megabyte that the proxy's socket wants to be rid of takes three
  heard += pair.client.read(file.size() - heard.size());
  CHECK(sha256(heard) == sha256(file));
}

TEST_CASE("session: a client that left ends a session whose server never closes", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(60s, 300ms));
  Pair pair = connect_through(proxy, server);
  pair.client.close();
  CHECK(pair.server.read_to_end().bytes.empty());
  proxy.next_session();
}

TEST_CASE("session: a reset server's last words reach a client that is still sending, without a fin time-out too",
          "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()}, with_limits(0s, 0s));
  Pair pair = connect_through(proxy, server, kSmall);
  const std::string reply = seeded_bytes(40'000, 1);
  REQUIRE(pair.server.send(reply));
  pair.client.send_some("a word that the server does not read");
  pair.server.wait_until_received();
  pair.server.reset();
  pair.client.send_some("more");
  CHECK(pair.client.read(reply.size()) == reply);
}

TEST_CASE("session: a refused connection goes to another back-end", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  const RefusingServer dead;
  ProxyUnderTest proxy(engine, {dead.address(), server.address()});
  const Peer client = proxy.client(), side = server.accept();
  CHECK(proxy.state_of(dead.address()) == "ejected");  // for a second
  CHECK(proxy.state_of(server.address()) == "up");
  const Peer second = proxy.client(), other = server.accept();  // the ejected one is left alone now
  CHECK(talks(client, side));
  CHECK(talks(second, other));
  proxy.engine().stop();
  proxy.engine().cut();
  CHECK(std::stoi(proxy.next_session()["retries"]) + std::stoi(proxy.next_session()["retries"]) == 1);
  CHECK(proxy.rejected("connect_failed") == 0);
}

TEST_CASE("session: a client that everybody refuses is closed at once", "[session]") {
  const auto engine = GENERATE(every_engine());
  const RefusingServer one, two;
  ProxyUnderTest proxy(engine, {one.address(), two.address()});
  const TimePoint started = Clock::now();
  const Peer client = proxy.client();
  CHECK(client.read_to_end().bytes.empty());
  CHECK(Clock::now() - started < kAtOnce);
  auto line = proxy.next_session();
  CHECK(line["cause"] == "SC");
  CHECK(line["retries"] == "1");
  CHECK(line["backend"] == "<NOSRV>");
  CHECK(proxy.rejected("connect_failed") == 1);
  CHECK(proxy.rejected("no_backend") == 0);
}

TEST_CASE("session: never more than half of a pool is ejected", "[session]") {
  const auto engine = GENERATE(every_engine());
  const std::list<RefusingServer> dead(5);
  std::vector<Address> addresses;
  for (const RefusingServer& one : dead) addresses.push_back(one.address());
  ProxyUnderTest::Options options;
  options.retries = 10;
  ProxyUnderTest proxy(engine, addresses, options);
  proxy.client().read_to_end();
  int ejected = 0;
  for (const Address& address : addresses) ejected += proxy.state_of(address) == "ejected" ? 1 : 0;
  CHECK(ejected == 2);
  CHECK(proxy.next_session()["retries"] == "4");
}

TEST_CASE("session: the number of retries is kept", "[session]") {
  const auto engine = GENERATE(every_engine());
  const RefusingServer one, two, three;
  ProxyUnderTest::Options options;
  options.retries = 1;
  ProxyUnderTest proxy(engine, {one.address(), two.address(), three.address()}, options);
  proxy.client().read_to_end();
  CHECK(proxy.next_session()["retries"] == "1");
  std::uint64_t failed = 0;
  for (const auto& row : proxy.table().status(Clock::now())) failed += row.connections_failed;
  CHECK(failed == 2);
}

TEST_CASE("session: where it takes no time every back-end is tried", "[session]") {
  const auto engine = GENERATE(every_engine());
  const std::list<RefusingServer> dead(9);
  const ScriptedServer alive;
  std::vector<Address> addresses;
  for (const RefusingServer& one : dead) addresses.push_back(one.address());
  addresses.push_back(alive.address());
  ProxyUnderTest::Options options;
  options.more_within = 5s;
  ProxyUnderTest proxy(engine, addresses, options);
  for (int i = 0; i < 10; ++i) {
    const Peer client = proxy.client();
    CHECK(talks(client, alive.accept()));
  }
  CHECK(proxy.rejected("connect_failed") == 0);
}

TEST_CASE("Retries: so many, and more while they take no time", "[session]") {
  const proxy::Retries strict{2, 0s}, patient{2, 5s};
  for (const proxy::Retries& retries : {strict, patient})
    for (int attempts = 0; attempts <= 2; ++attempts) CHECK(retries.allow(attempts, 1h));
  CHECK_FALSE(strict.allow(3, 0s));
  CHECK(patient.allow(3, 4999ms));
  CHECK_FALSE(patient.allow(3, 5s));
  CHECK(patient.allow(proxy::Retries::kAtMost, 0s));
  CHECK_FALSE(patient.allow(proxy::Retries::kAtMost + 1, 0s));
}

TEST_CASE("session: a client that resets while we connect for it is let go, and nobody is blamed", "[session]") {
  const auto engine = GENERATE(every_engine());
  const BlackHole hole;
  ProxyUnderTest::Options options;
  options.connect_timeout = 60s;
  ProxyUnderTest proxy(engine, {hole.address()}, options);
  Peer client = proxy.client();
  REQUIRE(eventually([&] { return proxy.engine().active() == 1; }));
  client.reset();
  CHECK(proxy.next_session()["cause"] == "CC");
  CHECK(proxy.state_of(hole.address()) == "up");
  CHECK(proxy.rejected("connect_failed") == 0);
}

TEST_CASE("session: a back-end that does not answer is given up after the connect time-out", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  const BlackHole hole;
  ProxyUnderTest::Options options;
  options.connect_timeout = 300ms;
  ProxyUnderTest proxy(engine, {hole.address(), server.address()}, options);
  const TimePoint started = Clock::now();
  const Peer first = proxy.client(), second = proxy.client();
  const Peer one = server.accept(), other = server.accept();
  CHECK(Clock::now() - started > 250ms);
  CHECK(Clock::now() - started < 3s);
  CHECK(proxy.state_of(hole.address()) == "ejected");
}

TEST_CASE("session: when nobody answers in time the cause says so", "[session]") {
  const auto engine = GENERATE(every_engine());
  const BlackHole hole;
  ProxyUnderTest::Options options;
  options.connect_timeout = 200ms;
  ProxyUnderTest proxy(engine, {hole.address()}, options);
  const TimePoint started = Clock::now();
  proxy.client().read_to_end();
  CHECK(Clock::now() - started < 2s);
  CHECK(proxy.next_session()["cause"] == "sC");
  CHECK(proxy.rejected("connect_failed") == 1);
}

TEST_CASE("session: without any back-end the client is closed at once, and the next one is served", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {});
  const TimePoint started = Clock::now();
  proxy.client().read_to_end();
  CHECK(Clock::now() - started < kAtOnce);
  CHECK(proxy.next_session()["cause"] == "SC");
  CHECK(proxy.rejected("no_backend") == 1);
  proxy.add_backend(server.address());
  const Peer client = proxy.client();
  CHECK(talks(client, server.accept()));
}

TEST_CASE("session: nothing is sent again once a server has accepted", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer one, two;
  ProxyUnderTest proxy(engine, {one.address(), two.address()});
  const Peer client = proxy.client();
  REQUIRE(client.send("order"));
  REQUIRE(eventually([&] { return one.has_client(0ms) || two.has_client(0ms); }));
  const bool first = one.has_client(0ms);
  {
    Peer taken = (first ? one : two).accept();
    CHECK(taken.read(5) == "order");
    taken.reset();
  }
  CHECK(client.read_to_end().bytes.empty());
  CHECK(proxy.next_session()["retries"] == "0");
  CHECK_FALSE((first ? two : one).has_client(100ms));
}

TEST_CASE("session: a back-end's connections are counted while they live", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  CHECK(proxy.table().status(Clock::now())[0].connections_active == 1);
  pair.client.close();
  pair.server.close();
  proxy.next_session();
  CHECK(eventually([&] { return proxy.table().status(Clock::now())[0].connections_active == 0; }));
  CHECK(proxy.table().status(Clock::now())[0].connections_total == 1);
  CHECK(proxy.status().connections_total == 1);
}

TEST_CASE("session: without a port of ours for it the client is closed, and the back-end is not blamed", "[session]") {
  if (::geteuid() != 0) {
    WARN("skipped: only root gets a network of its own, with one port for connections to come from");
    return;
  }
  const auto engine = GENERATE(every_engine());
  const std::string verdict = in_child([engine]() -> std::string {
    enter_network_of_our_own();
    const ScriptedServer server, other;
    ProxyUnderTest proxy(engine, {server.address()});
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "50000 50000" << std::flush;
    const Pair first = connect_through(proxy, server);
    const Peer second = Peer::connect(proxy.address(), {}, Address::ipv4(0x7f000002, 40000));
    if (!second.read_to_end().bytes.empty()) return "the second client got bytes from nowhere";
    if (const auto cause = proxy.next_session()["cause"]; cause != "RC") return "the cause is " + cause;
    if (proxy.rejected("no_resources") != 1) return "rejected{no_resources} does not count";
    if (proxy.state_of(server.address()) != "up") return "the back-end is blamed";
    if (proxy.table().status(Clock::now())[0].connections_failed != 0) return "a failure is counted";
    proxy.add_backup(other.address());  // to which the port is free, and who is not chosen first
    const Peer third = Peer::connect(proxy.address(), {}, Address::ipv4(0x7f000003, 40000));
    const Peer taken = other.accept();
    if (!third.send("x") || taken.read(1) != "x") return "nobody else is tried";
    if (proxy.state_of(server.address()) != "up") return "the back-end is blamed after all";
    const bool lives = first.client.send("hello") && first.server.read(5) == "hello";
    return lives ? "" : "the first session died";
  });
  CHECK(verdict == "");
}

TEST_CASE("session: a connect that is cut ends at once and is not the back-end's fault", "[session]") {
  const auto engine = GENERATE(every_engine());
  const BlackHole hole;
  ProxyUnderTest::Options options;
  options.connect_timeout = 60s;
  ProxyUnderTest proxy(engine, {hole.address()}, options);
  const Peer client = proxy.client();
  REQUIRE(eventually([&] { return proxy.table().status(Clock::now())[0].connections_active == 1; }));
  if (GENERATE(false, true)) client.shutdown_write();  // then its socket is gone as soon as we end our side
  const TimePoint cut_at = Clock::now();
  proxy.engine().stop();
  proxy.engine().cut();
  client.read_to_end();
  CHECK(proxy.next_session()["cause"] == "KC");
  proxy.end();
  CHECK(Clock::now() - cut_at < 2s);
  CHECK(proxy.table().status(Clock::now())[0].connections_failed == 0);
}
