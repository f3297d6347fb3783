#include <poll.h>

#include <catch2/catch.hpp>
#include <list>

#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

TEST_CASE("session: a lifetime ends it in the middle of its traffic", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest::Options options;
  options.lifetime = 400ms;
  ProxyUnderTest proxy(engine, {server.address()}, options);
  const TimePoint started = Clock::now();
  const Pair pair = connect_through(proxy, server);
  while (pair.client.send(".") && pair.server.read(1) == ".") ::poll(nullptr, 0, 10);
  const Duration took = Clock::now() - started;
  CHECK(took >= 400ms);
  CHECK(took < 3s);
  CHECK(proxy.next_session()["cause"] == "PD");
}

/// The kernel's own TCP_USER_TIMEOUT would end it: to that a window that stays closed is no answer.
TEST_CASE("session: a reader that stands still for longer than the user time-out is not gone", "[session]") {
  struct Standing {
    Standing(EngineKind engine, const ProxyUnderTest::Options& options)
        : proxy(engine, {server.address()}, options), pair(connect_through(proxy, server)) {}
    const ScriptedServer server;
    ProxyUnderTest proxy;
    Pair pair;
  };
  ProxyUnderTest::Options options;
  options.user = 1s;
  std::list<Standing> sessions;  // all at once: they wait
  for (const EngineKind engine : {EngineKind::threads, EngineKind::events, EngineKind::epoll})
    sessions.emplace_back(engine, options);
  std::vector<std::string> sent;
  for (const Standing& session : sessions) {
    sent.emplace_back();
    const std::string chunk(64 * kKiB, static_cast<char>('a' + sent.size()));
    for (int idle = 0; idle < 20; ::poll(nullptr, 0, 5)) {  // until nothing moves any more
      const std::size_t took = session.pair.server.send_some(chunk);
      sent.back() += chunk.substr(0, took);
      idle = took > 0 ? 0 : idle + 1;
    }
    REQUIRE(sent.back().size() > 256 * kKiB);
  }
  ::poll(nullptr, 0, 3500);
  auto bytes = sent.begin();
  for (const Standing& session : sessions) {
    session.pair.server.shutdown_write();
    const Peer::Rest rest = session.pair.client.read_to_end();
    CHECK(sha256(rest.bytes) == sha256(*bytes++));
    CHECK(rest.end == Peer::End::eof);
  }
}
