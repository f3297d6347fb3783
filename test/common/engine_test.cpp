#include "common/engine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "common/engine_fixture.hpp"
#include "common/error.hpp"

using namespace farol;
using namespace farol::test;

namespace {

/// Lowers a soft limit for a scope.
class LoweredLimit {
 public:
  LoweredLimit(decltype(RLIMIT_NOFILE) what, rlim_t to) : what_(what) {
    ::getrlimit(what_, &before_);
    rlimit lowered = before_;
    lowered.rlim_cur = to;
    check("setrlimit", ::setrlimit(what_, &lowered));
  }
  ~LoweredLimit() { ::setrlimit(what_, &before_); }
  LoweredLimit(const LoweredLimit&) = delete;
  LoweredLimit& operator=(const LoweredLimit&) = delete;

 private:
  decltype(RLIMIT_NOFILE) what_;
  rlimit before_{};
};

Duration cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

TEST_CASE("engine: many clients are served at once", "[engine]") {
  EngineUnderTest engine(GENERATE(every_engine()), echo);
  std::list<Peer> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(engine.client());
  for (const Peer& client : clients) REQUIRE(echoes(client));
  CHECK(engine->active() == 100);
  clients.clear();
  CHECK(eventually([&] { return engine->active() == 0; }));
}

TEST_CASE("engine: a client beyond the limit is closed at once and counted", "[engine]") {
  EngineOptions options;
  options.max_connections = 2;
  EngineUnderTest engine(GENERATE(every_engine()), echo, options);
  Peer one = engine.client();
  const Peer two = engine.client();
  REQUIRE(echoes(one));
  REQUIRE(echoes(two));
  const Peer refused = engine.client();
  CHECK(refused.read_to_end().bytes.empty());
  CHECK(engine->refused() == 1);
  CHECK(engine->active() == 2);
  one.close();
  REQUIRE(eventually([&] { return engine->active() == 1; }));
  const Peer next = engine.client();
  CHECK(echoes(next));
  CHECK(echoes(two));
}

TEST_CASE("engine: stop refuses new clients and leaves the present ones alone", "[engine]") {
  EngineUnderTest engine(GENERATE(every_engine()), echo);
  const Peer client = engine.client();
  REQUIRE(echoes(client));
  engine->stop();
  const auto is_refused = [&] {
    try {
      engine.client().read_to_end();
      return false;
    } catch (const std::system_error& error) {
      return error.code() == std::errc::connection_refused;
    }
  };
  CHECK(is_refused());
  CHECK(echoes(client));
  CHECK(engine->active() == 1);
}

TEST_CASE("engine: cut ends those who wait to read, to write and for a moment in time", "[engine]") {
  std::atomic<int> ended{0};
  const auto kind = GENERATE(every_engine());
  const Handler handler = [&ended](Io& io, Accepted client) -> Task<> {
    return [](Io& my_io, Accepted who, std::atomic<int>& count) -> Task<> {
      Channel channel(my_io, std::move(who.socket));
      Cuttable cuttable(channel);
      const Supervision supervision(my_io, cuttable);
      char what = 0;
      while (channel.read(std::as_writable_bytes(std::span(&what, 1))).status == IoResult::Status::again) {
        const Wait wait = co_await channel.readable();
        if (wait == Wait::cut) break;
      }
      if (what == 'w') {
        const std::vector<std::byte> much(16 * kMiB);
        Task<bool> writing = write_all(channel, much, kNever);
        const bool written = co_await writing;
        if (written) --count;
      } else if (what == 't') {
        const Wait wait = co_await my_io.sleep(Clock::now() + 1h);
        if (wait != Wait::cut) --count;
      }
      ++count;
    }(io, std::move(client), ended);
  };
  EngineUnderTest engine(kind, handler);
  const Peer reads = engine.client(), writes = engine.client(), sleeps = engine.client();
  REQUIRE(writes.send("w"));
  REQUIRE(sleeps.send("t"));
  REQUIRE(writes.readable(10s));
  REQUIRE(eventually([&] { return engine->active() == 3; }));
  const TimePoint cut_at = Clock::now();
  engine->stop();
  engine->cut();
  reads.read_to_end();
  engine.end();
  CHECK(Clock::now() - cut_at < 2s);
  CHECK(ended == 3);
}

TEST_CASE("engine: its end joins every thread and closes every descriptor", "[engine]") {
  const auto kind = GENERATE(every_engine());
  const std::size_t descriptors = open_descriptors(), threads = settled_threads();
  {
    EngineUnderTest engine(kind, echo);
    std::list<Peer> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(engine.client());
    for (const Peer& client : clients) REQUIRE(echoes(client));
    engine.end();  // with clients that would stay
    for (const Peer& client : clients) CHECK(client.read_to_end().bytes.empty());
    CHECK(eventually([&] { return running_threads() == threads; }));
  }
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("engine: a handler that throws closes its own client only", "[engine]") {
  const auto kind = GENERATE(every_engine());
  const Handler handler = [](Io& io, Accepted client) -> Task<> {
    return [](Io& my_io, Accepted who) -> Task<> {
      std::byte first{};
      {
        pollfd ready{who.socket.get(), POLLIN, 0};
        ::poll(&ready, 1, 10'000);
        if (::recv(who.socket.get(), &first, 1, 0) == 1 && first == std::byte{'!'}) throw std::runtime_error("a bug");
      }
      Task<> echoing = echo(my_io, std::move(who));
      co_await echoing;
    }(io, std::move(client));
  };
  EngineUnderTest engine(kind, handler);
  const Peer good = engine.client();
  REQUIRE(good.send(" "));
  REQUIRE(echoes(good));
  const Peer bad = engine.client();
  REQUIRE(bad.send("!"));
  CHECK(bad.read_to_end().bytes.empty());
  CHECK(engine.log().next("connection failed").count("reason") == 1);
  CHECK(echoes(good));
  const Peer next = engine.client();
  REQUIRE(next.send(" "));
  CHECK(echoes(next));
}

TEST_CASE("engine: a spawned coroutine runs beside its spawner, and its exception arrives with the join", "[engine]") {
  const auto kind = GENERATE(every_engine());
  const bool fails = GENERATE(false, true);
  const Handler handler = [fails](Io& io, Accepted client) -> Task<> {
    return [](Io& my_io, Accepted who, bool failing) -> Task<> {
      Channel channel(my_io, std::move(who.socket));
      Spawned beside;
      const auto body = [](Io& other, bool throws) -> Task<> {
        const Wait wait = co_await other.sleep(Clock::now() + 20ms);
        if (throws && wait == Wait::timeout) throw std::runtime_error("beside");
      };
      std::string word = my_io.spawn(beside, [&](Io& other) { return body(other, failing); }) ? "spawned" : "alone";
      try {
        co_await my_io.join(beside);
        word += ", joined";
      } catch (const std::runtime_error& error) {
        word += std::string(", ") + error.what();
      }
      Task<bool> writing = write_all(channel, std::as_bytes(std::span(word)), kNever);
      co_await writing;
    }(io, std::move(client), fails);
  };
  EngineUnderTest engine(kind, handler);
  CHECK(engine.client().read_to_end().bytes == (fails ? "spawned, beside" : "spawned, joined"));
}

TEST_CASE("engine: a wait has a deadline", "[engine]") {
  const auto kind = GENERATE(every_engine());
  const Handler handler = [](Io& io, Accepted client) -> Task<> {
    return [](Io& my_io, Accepted who) -> Task<> {
      Channel channel(my_io, std::move(who.socket));
      const TimePoint from = Clock::now();
      const Wait wait = co_await channel.readable(from + 100ms);
      std::string word = wait == Wait::timeout && Clock::now() - from >= 100ms ? "late" : "early";
      Task<bool> writing = write_all(channel, std::as_bytes(std::span(word)), kNever);
      co_await writing;
    }(io, std::move(client));
  };
  EngineUnderTest engine(kind, handler);
  CHECK(engine.client().read_to_end().bytes == "late");
}

TEST_CASE("engine: without descriptors it pauses, loses nobody and goes on afterwards", "[engine]") {
  const auto kind = GENERATE(every_engine());
  EngineUnderTest engine(kind, echo);
  const Peer live = engine.client();
  REQUIRE(echoes(live));
  std::vector<Fd> sockets;
  for (int i = 0; i < 10; ++i) sockets.emplace_back(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  std::vector<Peer> waiting;
  bool disturbed = true, live_echoes = false;
  std::size_t active = 0;
  Duration used{};
  {
    // Nothing new may be opened below 3, and poll(2) may watch so many. No checks in here: UBSan opens pipes for them.
    const LoweredLimit none(RLIMIT_NOFILE, 3);
    const SockAddr to = engine.address().raw();
    for (Fd& socket : sockets) {
      check("connect", ::connect(socket.get(), to.get(), to.size));
      waiting.emplace_back(std::move(socket));
    }
    const Duration before = cpu_time();
    disturbed = live.readable(500ms);
    used = cpu_time() - before;
    live_echoes = echoes(live);
    active = engine->active();
  }
  CHECK_FALSE(disturbed);
  CHECK(used < 250ms);
  CHECK(live_echoes);
  CHECK(active < 11);
  for (const Peer& client : waiting) CHECK(echoes(client));
  CHECK(echoes(live));
}

TEST_CASE("engine: a client for whom there is no thread is closed, the others live", "[engine]") {
  if (::geteuid() != 0) {
    WARN("skipped: the limit counts a user's processes, and only root can become a user with none");
    return;
  }
  const std::string verdict = in_child([]() -> std::string {
    const ScriptedServer server;
    ProxyUnderTest proxy(EngineKind::threads, {server.address()});
    const Pair live = connect_through(proxy, server);
    const auto works = [](const Pair& pair) {
      return pair.client.send("hello") && pair.server.read(5) == "hello" && pair.server.send("yes") &&
             pair.client.read(3) == "yes";
    };
    if (!works(live)) return "the session did not work before";
    check("setuid", ::setresuid(65534, 65534, 65534));
    {
      const LoweredLimit none(RLIMIT_NPROC, 1);
      for (int i = 0; i < 3; ++i) {
        const Peer client = proxy.client();
        if (!client.read_to_end().bytes.empty()) return "a client got bytes from nowhere";
        if (proxy.next_session()["cause"] != "RC") return "the log does not give the cause";
      }
      if (proxy.rejected("no_thread") != 3) return "rejected{no_thread} does not count";
      if (!works(live)) return "the live session died";
    }
    for (int i = 0; i < 3; ++i) (void)server.accept();  // of those turned away
    const Pair next = connect_through(proxy, server);
    return works(next) ? "" : "no session afterwards";
  });
  CHECK(verdict == "");
}
