#include "proxy/link.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "common/error.hpp"
#include "common/listener.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;
using proxy::Link;

namespace {

/// A link only passes its Io on to the channels; nobody waits in these tests.
class NoIo final : public Io {
 public:
  Fd open_stream(int, TimePoint, int&) override { return {}; }
  bool spawn(Spawned&, const std::function<Task<>(Io&)>&) override { return false; }
  std::span<std::byte> scratch() override { return {}; }
  PipePool& pipes() override { return pipes_; }
  void supervise(Supervised&) override {}
  void release(Supervised&) override {}
  bool wait_now(WaitFor&) override { return true; }
  void suspend(WaitFor&, std::coroutine_handle<>) override {}
  bool join_now(Spawned&) override { return true; }

 private:
  PipePool pipes_{0};
};

/// A link between two connections whose far ends the test holds.
struct LinkUnderTest {
  explicit LinkUnderTest(Link::Limits its_limits)
      : limits(its_limits),
        client(Peer::connect(server_port.address())),
        link(io, accepted(), limits),
        server(Peer::connect(server_port.address())) {
    link.open_server(accepted());
    signals.changed = &changed;
    signals.opened();  // as the choice does
  }
  Fd accepted() {
    Address from;
    Fd fd;
    REQUIRE(server_port.accept(fd, from) == Listener::Outcome::accepted);
    return fd;
  }
  const Link::Limits limits;
  NoIo io;
  proxy::ChangedSet changed{1};
  proxy::BackendSignals signals;
  proxy::ConnectionMeter meter{signals, Clock::now()};
  Listener server_port{Address::ipv4(0x7f000001, 0)};
  Peer client;
  Link link;
  Peer server;
};

}  // namespace

TEST_CASE("link: its clock starts when it is told to", "[link]") {
  LinkUnderTest t({10s, 1s});
  CHECK_FALSE(t.link.expired(Clock::now() + 1h));
  t.link.start(t.meter);
  CHECK_FALSE(t.link.expired(Clock::now() + 9s));
  CHECK(t.link.expired(Clock::now() + 11s));
}

TEST_CASE("link: the fin limit holds once a side is closed, the idle limit if that is shorter", "[link]") {
  const auto [idle, fin, expected] = GENERATE(table<Duration, Duration, Duration>(
      {{100s, 10s, 10s}, {10s, 100s, 10s}, {0s, 30s, 30s}, {30s, 0s, 30s}, {0s, 0s, 0s}}));
  LinkUnderTest t({idle, fin});
  t.link.start(t.meter);
  t.link.half_close(Link::Side::client);
  const TimePoint now = Clock::now();
  if (expected > 0s) {
    CHECK_FALSE(t.link.expired(now + expected - 5s));
    CHECK(t.link.expired(now + expected + 5s));
  } else {
    CHECK_FALSE(t.link.expired(now + 24h));
  }
}

TEST_CASE("link: a peer that still takes what lies in our socket is not silent", "[link]") {
  LinkUnderTest t({10s, 1s});
  t.link.start(t.meter);
  const std::vector<std::byte> much(64 * kKiB);
  const int on = 1;
  REQUIRE(::ioctl(t.link.client().fd(), FIONBIO, &on) == 0);
  while (t.link.client().write(much).status == IoResult::Status::ok) {
  }
  const TimePoint now = Clock::now();
  CHECK_FALSE(t.link.expired(now + 6s));
  const std::uint64_t before = t.link.client().acknowledged();
  CHECK(eventually([&] { return t.client.read(64 * kKiB).size() > 0 && t.link.client().acknowledged() > before; }));
  CHECK_FALSE(t.link.expired(now + 11s));
  std::uint64_t last = 0;
  CHECK(eventually([&] {  // nothing is on its way any more
    const std::uint64_t present = t.link.client().acknowledged();
    ::poll(nullptr, 0, 50);
    return std::exchange(last, present) == present;
  }));
  CHECK_FALSE(t.link.expired(now + 20s));  // a new silence has begun
  CHECK(t.link.expired(now + 22s));        // in which nothing was taken
}

TEST_CASE("link: a lifetime ends a session whatever it does, and says so", "[link]") {
  LinkUnderTest t({10s, 1s, 0s, 5s});
  t.link.start(t.meter);
  const TimePoint now = Clock::now();
  CHECK_FALSE(t.link.expired(now + 4s));
  t.link.touch(Link::Side::client);
  CHECK(t.link.expired(now + 6s));
  t.link.cut(true);
  CHECK(t.link.end() == Link::End::too_old);
}

TEST_CASE("link: peers that have nothing to answer are not gone, however silent", "[link]") {
  LinkUnderTest t({0s, 0s, 2s});
  t.link.start(t.meter);
  const TimePoint now = Clock::now();
  for (const Duration later : {1s, 2s, 3s, 60s}) CHECK_FALSE(t.link.expired(now + later));
}

TEST_CASE("link: a cut ends both connections, and the first one says why", "[link]") {
  LinkUnderTest t({10s, 1s});
  t.link.start(t.meter);
  t.link.cut(true);
  t.link.cut(false);
  CHECK(t.link.end() == Link::End::timed_out);
  CHECK(t.client.read_to_end().bytes.empty());
  CHECK(t.server.read_to_end().bytes.empty());
  CHECK(t.link.expired(Clock::now()));  // until the relays have ended: one may have been about to wait
}

TEST_CASE("link: a server's socket that comes after the cut is ended too", "[link]") {
  LinkUnderTest t({10s, 1s});
  t.link.close_server();
  t.link.cut(false);
  const Peer late = Peer::connect(t.server_port.address());
  t.link.open_server(t.accepted());
  CHECK(late.read_to_end().bytes.empty());
}

TEST_CASE("link: to finish with a reset resets the server when the link goes", "[link]") {
  std::optional<Peer> server;
  {
    LinkUnderTest t({10s, 1s});
    t.link.finish(true);
    std::byte byte{};
    CHECK(t.link.server().read({&byte, 1}).status != IoResult::Status::ok);  // who reads it is woken
    server.emplace(std::move(t.server));
  }
  CHECK(server->read_to_end().end == Peer::End::reset);
}

TEST_CASE("channel: a reset is not taken for an end of file, whoever was told of it first", "[link]") {
  LinkUnderTest t({10s, 1s});
  REQUIRE(t.client.send("words"));
  t.client.reset();
  std::byte buffer[16]{};
  REQUIRE(eventually([&] { return t.link.client().write(buffer).status == IoResult::Status::error; }));
  const IoResult words = t.link.client().read(buffer);
  CHECK(words.status == IoResult::Status::ok);
  CHECK(words.bytes == 5);
  CHECK(t.link.client().read(buffer).status == IoResult::Status::error);
}

TEST_CASE("channel: nothing waits for an acknowledgement from a connection that is gone", "[link]") {
  LinkUnderTest t({10s, 1s});
  const std::vector<std::byte> much(64 * kMiB);
  while (::send(t.link.client().fd(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  CHECK(t.link.client().unacknowledged() > 0);
  t.client.reset();
  CHECK(eventually([&] { return t.link.client().unacknowledged() == 0; }));
}
