#include <poll.h>

#include <catch2/catch.hpp>
#include <list>
#include <string>
#include <vector>

#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

/// Sends until nothing moves any more, and there is enough of it: all that the proxy and the kernel hold is full. What was
/// sent.
std::string fill(const Peer& source, char letter) {
  const std::string chunk(64 * kKiB, letter);
  std::string sent;
  for (int idle = 0; idle < 20 || sent.size() < 1024 * kKiB; ::poll(nullptr, 0, 5)) {
    const std::size_t took = source.send_some(chunk);
    sent += chunk.substr(0, took);
    idle = took > 0 ? 0 : idle + 1;
    if (idle == 4000) break;
  }
  CHECK(sent.size() >= 1024 * kKiB);
  return sent;
}

}  // namespace

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

/// One that cannot tell would take what it has for the whole.
TEST_CASE("session: who is cut off in the middle of a stream sees a reset, not its end", "[session]") {
  const auto engine = GENERATE(every_engine());
  const auto upload = GENERATE(false, true);
  const auto stands_still = GENERATE(false, true);
  const auto shutdown = GENERATE(false, true);
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  const Pair pair = connect_through(proxy, server);
  const std::size_t sent = fill(upload ? pair.client : pair.server, 'x').size();
  if (shutdown) {
    proxy.engine().stop();
    proxy.engine().cut();
  } else {
    proxy.set_state(server.address(), proxy::AdminState::drain, 1ms);
  }
  std::map<std::string, std::string> line;
  if (stands_still) line = proxy.next_session();  // and reads only then
  const Peer::Rest rest = (upload ? pair.server : pair.client).read_to_end(8ms);  // it takes more than a second for all
  CHECK(rest.bytes.size() < sent);
  CHECK(rest.end == Peer::End::reset);
  if (!stands_still) line = proxy.next_session();
  CHECK(line["cause"] == (shutdown ? "KD" : "DD"));
}

TEST_CASE("session: who is cut off while nothing is under way sees an end", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest::Options options;
  options.lifetime = kScale == 1 ? 1s : 2s;  // the exchange is over before
  ProxyUnderTest proxy(engine, {server.address()}, options);
  const Pair pair = connect_through(proxy, server);
  REQUIRE(pair.client.send("hello"));
  CHECK(pair.server.read(5) == "hello");
  REQUIRE(pair.server.send("and you"));
  CHECK(pair.client.read(7) == "and you");
  CHECK(pair.client.read_to_end().end == Peer::End::eof);
  CHECK(pair.server.read_to_end().end == Peer::End::eof);
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
  options.user = 2s;  // the least there is
  std::list<Standing> sessions;  // all at once: they wait
  for (const EngineKind engine : {EngineKind::threads, EngineKind::events, EngineKind::epoll})
    sessions.emplace_back(engine, options);
  std::vector<std::string> sent;
  for (const Standing& session : sessions) {
    sent.push_back(fill(session.pair.server, static_cast<char>('a' + sent.size())));
  }
  ::poll(nullptr, 0, 6000);
  auto bytes = sent.begin();
  for (Standing& session : sessions) {
    session.pair.server.shutdown_write();
    const Peer::Rest rest = session.pair.client.read_to_end();
    CHECK(rest.bytes.size() == bytes->size());
    CHECK(sha256(rest.bytes) == sha256(*bytes++));
    CHECK(rest.end == Peer::End::eof);
    session.pair.client.shutdown_write();
    CHECK(session.proxy.next_session()["cause"] == "--");
  }
}

TEST_CASE("session: a back-end's connections can be closed, spread over a time", "[session]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  std::list<Pair> pairs;
  for (int i = 0; i < 40; ++i) pairs.push_back(connect_through(proxy, server));
  const TimePoint started = Clock::now();
  proxy.set_state(server.address(), proxy::AdminState::drain, 2s);
  for (const Pair& pair : pairs) {
    CHECK(pair.client.read_to_end().end == Peer::End::eof);
    CHECK(proxy.next_session()["cause"] == "DD");
  }
  const Duration took = Clock::now() - started;
  CHECK(took > 1s);
  CHECK(took < 2s + 5s);
}

TEST_CASE("BackendSignals: connections that draw evenly are closed evenly, and not any more after the order's end",
          "[session]") {
  proxy::BackendSignals signals;
  const TimePoint from{std::chrono::hours(1000)};
  constexpr std::uint32_t quarter = 1U << 30;
  CHECK_FALSE(signals.closes(from + 1h, 0));
  signals.close_all(from, 8s);
  CHECK_FALSE(signals.closes(from - 1ms, 0));
  CHECK(signals.closes(from, 0));
  CHECK_FALSE(signals.closes(from + 1999ms, quarter));
  CHECK(signals.closes(from + 2s, quarter));
  CHECK_FALSE(signals.closes(from + 5999ms, 3 * quarter));
  CHECK(signals.closes(from + 6s, 3 * quarter));
  CHECK(signals.closes(from + 8s, 0xFFFFFFFF));
  signals.close_none();
  CHECK_FALSE(signals.closes(from + 8s, 0));
}
