#include <unistd.h>

#include <malloc.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/limits.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

constexpr Buffers kSmall{16 * 1024, 16 * 1024};
constexpr std::size_t kWarmUp = 100, kMany = 1000 / kScale, kVeryMany = 10'000 / kScale;
constexpr std::size_t kKeptPipes = 64, kKeptThreads = 16;  ///< descriptors of the former; of both what an engine keeps
constexpr std::size_t kHeapNoise = 256 * kKiB;             ///< of a thousand frames the smallest would be noticed

/// What this process holds that a session could leave behind.
struct Holdings {
  std::size_t descriptors = open_descriptors(), threads = settled_threads(), heap = ::mallinfo2().uordblks;
};

ProxyUnderTest::Options quiet() {
  ProxyUnderTest::Options options;
  options.log_level = LogLevel::error;
  options.idle_workers = 4;
  return options;
}

/// Has `sessions` make so many sessions, which leave nothing behind, neither while the proxy lives nor afterwards. What
/// grows with the number of sessions at once has grown after `warm_up` of them.
void check_leaves_nothing(EngineKind engine, const Address& backend, const ProxyUnderTest::Options& options,
                          std::size_t warm_up, std::size_t times,
                          const std::function<void(ProxyUnderTest&, std::size_t)>& sessions) {
  const Holdings before;
  {
    ProxyUnderTest proxy(engine, {backend}, options);
    const auto run = [&](std::size_t count) {
      sessions(proxy, count);
      REQUIRE(eventually([&] { return proxy.engine().active() == 0; }));
      CHECK(eventually([&] { return running_threads() < before.threads + kKeptThreads; }));
    };
    run(warm_up);
    const Holdings warm;
    run(times);
    const Holdings now;
    CHECK(now.descriptors <= warm.descriptors + kKeptPipes);
    CHECK(now.heap < warm.heap + kHeapNoise);
  }
  CHECK(open_descriptors() == before.descriptors);
  CHECK(eventually([&] { return running_threads() == before.threads; }));
}

/// As many at once as there are descriptors for, in four sockets each.
std::size_t at_once(std::size_t wanted) { return std::min(wanted, (raise_and_read_limits(::geteuid()).descriptors - 200) / 4); }

}  // namespace

TEST_CASE("leaks: connections that are opened and closed leave nothing behind", "[relay][leaks]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  const auto sessions = [&](ProxyUnderTest& proxy, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      proxy.client().close();
      const Peer server_side = server.accept();
    }
  };
  check_leaves_nothing(engine, server.address(), quiet(), kWarmUp, kVeryMany, sessions);
}

TEST_CASE("leaks: resets in mid-stream leave nothing behind", "[relay][leaks]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  const std::string some = seeded_bytes(20'000, 11);
  const auto sessions = [&](ProxyUnderTest& proxy, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Pair pair = connect_through(proxy, server);
      REQUIRE(pair.client.send(some));
      CHECK(pair.server.read(1000).size() == 1000);
      pair.server.send_some(some);
      (i % 2 == 0 ? pair.client : pair.server).reset();
    }
  };
  check_leaves_nothing(engine, server.address(), quiet(), kWarmUp, kMany, sessions);
}

TEST_CASE("leaks: back-ends that swallow connects leave nothing behind", "[session][leaks]") {
  const auto engine = GENERATE(every_engine());
  const BlackHole hole;
  ProxyUnderTest::Options options = quiet();
  options.connect_timeout = 300ms;
  const std::size_t many = at_once(kMany);
  check_leaves_nothing(engine, hole.address(), options, many, many, [&](ProxyUnderTest& proxy, std::size_t count) {
    std::vector<Peer> clients;
    while (clients.size() < count) clients.push_back(proxy.client());
    for (const Peer& client : clients) CHECK(client.read_to_end().bytes.empty());
  });
}

TEST_CASE("leaks: peers that neither read nor answer leave nothing behind", "[session][leaks]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server(kSmall);
  const std::string some = seeded_bytes(32 * kKiB, 12);
  ProxyUnderTest::Options options = quiet();
  options.idle = 300ms;
  const std::size_t many = at_once(kMany);
  check_leaves_nothing(engine, server.address(), options, many, many, [&](ProxyUnderTest& proxy, std::size_t count) {
    std::vector<Pair> pairs;  // they stay open on our side
    while (pairs.size() < count) {
      pairs.push_back(connect_through(proxy, server, kSmall));
      pairs.back().client.send_some(some);
      pairs.back().server.send_some(some);
    }
    REQUIRE(eventually([&] { return proxy.engine().active() == 0; }));
  });
}

TEST_CASE("leaks: clients that wait in vain, or leave the queue, leave nothing behind", "[queue][leaks]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest::Options options = quiet();
  options.per_backend = 1;
  options.queue_timeout = 300ms;
  const std::size_t many = at_once(kMany / 2);
  check_leaves_nothing(engine, server.address(), options, many, many, [&](ProxyUnderTest& proxy, std::size_t count) {
    const Pair first = connect_through(proxy, server);
    std::vector<Peer> clients;
    while (clients.size() < count) clients.push_back(proxy.client());
    for (std::size_t i = 0; i < count; i += 2) clients[i].reset();
    for (std::size_t i = 1; i < count; i += 2) CHECK(clients[i].read_to_end().bytes.empty());
  });
}
