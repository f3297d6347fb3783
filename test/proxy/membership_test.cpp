#include "proxy/membership.hpp"

#include <atomic>
#include <catch2/catch.hpp>

#include "common/thread.hpp"
#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

// Who gets into the table, stays and leaves. What an attacker tries is in membership_attacks_test.cpp.

namespace {

const TestAgent kA("10.0.0.1:5555", 1);

TestAgent moved_to(const TestAgent& agent, const char* peer) {
  TestAgent moved = agent;
  moved.peer = at(peer);
  return moved;
}

TestAgent restarted(const TestAgent& agent, std::uint64_t boot_id) {
  TestAgent again = agent;
  again.service.boot_id = boot_id;
  return again;
}

Membership::Options with_listener(const char* address) { return {{}, {}, {at(address)}}; }

}  // namespace

TEST_CASE("Membership: register, challenge, answer: in the table, with a probe at once", "[membership]") {
  Bench bench;
  const auto challenge = bench.deliver(kA.peer, kA.hello());
  REQUIRE(challenge);
  CHECK(challenge->sequence == 0);
  CHECK_FALSE(challenge->leaving);
  CHECK(bench.rows() == 0);
  bench.now += 15s;  // a challenge lives for 8 to 16 s
  CHECK_FALSE(bench.deliver(kA.peer, kA.answer(bench.deliver(kA.peer, kA.hello()).value())));
  REQUIRE(bench.row(kA) != nullptr);
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.row(kA)->agent.path.peer == kA.peer);
  CHECK(bench.row(kA)->estimates().load() == kA.load);
  CHECK(bench.row(kA)->estimates().has_report());
  CHECK_FALSE(bench.row(kA)->estimates().rtt().sample());  // a challenge measures none
  CHECK(bench.table.access().next_probe() == bench.now);
  CHECK(bench.dropped() == 0);
}

TEST_CASE("Membership: a known agent's Register buys nothing and says only its interval", "[membership]") {
  Bench bench;
  bench.join(kA);
  CHECK_FALSE(bench.deliver(kA.peer, kA.hello(60'000)));
  CHECK(bench.row(kA)->agent.register_interval == 60s);
  CHECK_FALSE(bench.deliver(kA.peer, kA.hello(86'400'000)));
  CHECK(bench.row(kA)->agent.register_interval == 10min);
  CHECK(bench.row(kA)->agent.last_packet == kStart);
  bench.now += 1s;
  bench.deliver(kA.peer, kA.hello());
  CHECK(bench.row(kA)->agent.last_packet == kStart);  // no sign of life: it proves nothing
}

TEST_CASE("Membership: an answered probe brings load, RTT and life", "[membership]") {
  Bench bench;
  bench.join(kA);
  TestAgent busy = kA;
  busy.load = {5000, 6000, 70, 8};
  busy.draining = true;
  bench.probe_and_answer(busy, 17ms);
  Backend& row = *bench.row(kA);
  CHECK(row.estimates().rtt().sample() == Duration(17ms));
  CHECK(row.estimates().load() == busy.load);
  CHECK(row.estimates().report_score().components.tcp == Approx(2.1));
  CHECK(row.agent.last_packet == bench.now);
  CHECK(bench.state(kA) == State::drain);
  bench.probe_and_answer(kA);
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.dropped() == 0);
}

TEST_CASE("Membership: several agents of one host, each by its port", "[membership]") {
  Bench bench;
  const TestAgent other("10.0.0.1:6666", 2, 81);
  bench.join(kA);
  bench.join(other);
  CHECK(bench.rows() == 2);
  bench.probe_and_answer(kA);
  bench.probe_and_answer(other);
  CHECK(bench.dropped() == 0);
}

TEST_CASE("Membership: IPv4-mapped is IPv4, a link-local address keeps its scope", "[membership]") {
  SockAddr mapped = kA.peer.for_family(AF_INET6);
  CHECK(Address::from(mapped) == kA.peer);
  Bench bench;
  TestAgent one("[fe80::1%lo]:5555", 1);
  bench.join(one);
  CHECK(bench.row(one)->key.address.scope() == one.peer.scope());
  CHECK(one.peer.scope() != 0);
}

TEST_CASE("Membership: an agent that restarted in place starts a new life", "[membership]") {
  Bench bench;
  bench.join(kA);
  bench.probe_and_answer(kA);
  bench.probe(kA);
  bench.pass(600ms);  // lost
  CHECK(bench.row(kA)->estimates().loss().share() == 0.5);
  const auto meant_for_the_old = bench.probe(kA);
  const TestAgent again = restarted(kA, 2);
  SECTION("its Register is the first to arrive") { bench.join(again); }
  SECTION("a probe reaches it first") { bench.deliver(again.peer, again.answer(meant_for_the_old)); }
  Backend& row = *bench.row(kA);
  CHECK(bench.rows() == 1);
  CHECK(row.agent.boot_id == 2);
  CHECK(row.estimates().loss().share() == 0);
  CHECK_FALSE(row.estimates().rtt().sample());
  CHECK_FALSE(row.has_outstanding());
  CHECK(bench.table.access().next_probe() <= bench.now);
  bench.probe_and_answer(again);
  CHECK(bench.dropped() == 0);
  bench.deliver(kA.peer, kA.answer(meant_for_the_old));  // the old life's words count no more
  CHECK(bench.dropped() == 1);
  CHECK(bench.row(kA)->agent.boot_id == 2);
}

TEST_CASE("Membership: a new source port takes over when the present one misses its deciding probe", "[membership]") {
  Bench bench;
  bench.join(kA);
  const TestAgent moved = moved_to(kA, "10.0.0.1:40000");
  bench.join(moved);
  CHECK(bench.dropped(DropReason::conflict) == 1);
  CHECK(bench.row(kA)->agent.path.peer == kA.peer);
  CHECK(bench.table.access().next_probe() == bench.now);  // at once, not at the next interval
  SECTION("it answers: a conflict, and it stays") {
    bench.probe_and_answer(kA);
    bench.pass(2s);
    CHECK(bench.row(kA)->agent.path.peer == kA.peer);
    CHECK(bench.row(kA)->conflicts == 1);
    CHECK(bench.table.status(bench.now).at(0).conflicts == 1);
  }
  SECTION("it does not: switched") {
    bench.probe(kA);
    bench.pass(450ms);
    CHECK(bench.row(kA)->agent.path.peer == kA.peer);
    bench.pass(100ms);
    CHECK(bench.row(kA)->agent.path.peer == moved.peer);
    CHECK(bench.row(kA)->conflicts == 0);
    bench.probe_and_answer(moved);
    CHECK(bench.row(kA)->estimates().rtt().sample());
    bench.deliver(kA.peer, kA.answer({1, 1, false}));
    CHECK(bench.dropped(DropReason::unknown) == 1);
  }
  CHECK(bench.rows() == 1);
}

TEST_CASE("Membership: a probe sent before the new source came does not decide", "[membership]") {
  Bench bench;
  bench.join(kA);
  bench.probe(kA);  // lost on the way
  bench.now += 400ms;
  bench.join(moved_to(kA, "10.0.0.1:40000"));
  bench.pass(200ms);
  CHECK(bench.row(kA)->agent.path.peer == kA.peer);
}

TEST_CASE("Membership: a silent agent's identity is free at once", "[membership]") {
  Bench bench;
  bench.join(kA);
  bench.pass(25s);
  REQUIRE(bench.state(kA) == State::stale);
  const TestAgent next = restarted(moved_to(kA, "10.0.0.1:40000"), 2);
  bench.join(next);
  CHECK(bench.row(kA)->agent.path.peer == next.peer);
  CHECK(bench.state(kA) == State::up);
  CHECK(bench.dropped() == 0);
}

TEST_CASE("Membership: one agent by two addresses is one row, the first", "[membership]") {
  Bench bench;
  bench.join(kA);
  const TestAgent by_other_road = moved_to(kA, "10.9.0.1:5555");
  bench.join(by_other_road);
  CHECK(bench.rows() == 1);
  CHECK(bench.row(by_other_road) == nullptr);
  CHECK(bench.dropped(DropReason::alias) == 1);
  // Another pool, port or boot id is another back-end.
  TestAgent other = by_other_road;
  other.service.port = 81;
  bench.join(other);
  CHECK(bench.rows() == 2);
}

TEST_CASE("Membership: when the first road is silent the agent comes by the second, still one row", "[membership]") {
  Bench bench;
  bench.join(kA);
  bench.pass(25s);
  REQUIRE(bench.row(kA)->agent.silent);
  const TestAgent by_other_road = moved_to(kA, "10.9.0.1:5555");
  bench.join(by_other_road);
  CHECK(bench.state(by_other_road) == State::up);
  CHECK(bench.state(kA) == State::drain);
  bench.pass(50ms);
  CHECK(bench.rows() == 1);
  bench.join(kA);
  CHECK(bench.row(kA) == nullptr);
  CHECK(bench.dropped(DropReason::alias) == 1);
}

TEST_CASE("Membership: an agent that stands for another service leaves its old row", "[membership]") {
  Bench bench;
  bench.join(kA);
  TestAgent changed = restarted(kA, 2);
  changed.service.port = 81;
  SECTION("a new one") { bench.join(changed); }
  SECTION("one that has a row") {
    bench.join(restarted(moved_to(changed, "10.0.0.1:6666"), 3));
    bench.pass(10s);
    for (int i = 0; i < 3; ++i) {
      bench.probe_and_answer(kA);
      bench.pass(5s);
    }
    REQUIRE(bench.row(changed)->agent.silent);
    bench.join(changed);
  }
  CHECK(bench.state(changed) == State::up);
  CHECK(bench.state(kA) == State::drain);
  CHECK(bench.row(kA)->status(bench.now).departure == Departure::elsewhere);
  bench.pass(50ms);
  CHECK(bench.row(kA) == nullptr);
  bench.probe_and_answer(changed);  // found by its source
  CHECK(bench.row(changed)->estimates().rtt().sample());
}

TEST_CASE("Membership: Deregister with the last nonce, or the one before", "[membership]") {
  Bench bench;
  bench.join(kA);
  const auto old = bench.probe(kA), previous = bench.probe(kA), last = bench.probe(kA);
  bench.deliver(kA.peer, kA.goodbye(old.nonce));
  CHECK(bench.dropped(DropReason::nonce) == 1);
  REQUIRE(bench.row(kA) != nullptr);
  SECTION("last") { bench.deliver(kA.peer, kA.goodbye(last.nonce)); }
  SECTION("previous") { bench.deliver(kA.peer, kA.goodbye(previous.nonce)); }
  SECTION("a challenge, caused by a Register in its name") {
    TestAgent forged = kA;
    forged.service.boot_id = 99;
    const auto challenge = bench.deliver(kA.peer, forged.hello());
    REQUIRE(challenge);
    bench.deliver(kA.peer, kA.goodbye(challenge->nonce));
  }
  CHECK(bench.rows() == 0);
  CHECK(bench.dropped() == 1);
}

TEST_CASE("Membership: deregistered with connections: drained, gone with the last, or back again", "[membership]") {
  Bench bench;
  bench.join(kA);
  auto lease = bench.acquire();
  bench.deliver(kA.peer, kA.goodbye(bench.probe(kA).nonce));
  CHECK(bench.state(kA) == State::drain);
  CHECK(bench.row(kA)->status(bench.now).leaving);
  CHECK(bench.row(kA)->status(bench.now).departure == Departure::goodbye);
  CHECK(bench.table.access().next_probe() == TimePoint::max());
  bench.pass(1min);
  CHECK(bench.state(kA) == State::drain);
  SECTION("the last connection ends") {
    lease.reset();
    bench.pass(50ms);
    CHECK(bench.rows() == 0);
  }
  SECTION("the agent starts again") {
    bench.join(restarted(moved_to(kA, "10.0.0.1:40000"), 2));
    CHECK(bench.state(kA) == State::up);
    CHECK(bench.row(kA)->signals.open() == 1);
  }
}

TEST_CASE("Membership: a static back-end's identity is not for agents", "[membership]") {
  Bench bench;
  bench.add_static("10.0.0.1:80");
  bench.join(kA);
  CHECK(bench.row(kA)->source == Source::configured);
  CHECK(bench.dropped(DropReason::conflict) == 1);
}

TEST_CASE("Membership: the proxy's own listener is refused", "[membership]") {
  SECTION("by its address") {
    Bench bench({}, with_listener("10.0.0.1:80"));
    bench.join(kA);
    CHECK(bench.dropped(DropReason::loop) == 1);
    bench.join(moved_to(restarted(kA, 2), "10.0.0.2:5555"));
    CHECK(bench.rows() == 1);
  }
  SECTION("by a wildcard, at any address of this machine") {
    for (const char* listener : {"0.0.0.0:80", "[::]:80"}) {
      Bench bench({}, with_listener(listener));
      bench.join(TestAgent("127.0.0.7:5555"));
      CHECK(bench.dropped(DropReason::loop) == 1);
      bench.join(TestAgent("127.0.0.7:5555", 1, 81));
      bench.join(TestAgent("198.51.100.1:5555", 2, 80));  // documentation's: nobody's
      CHECK(bench.rows() == 2);
    }
  }
  SECTION("an IPv4 wildcard does not listen on IPv6") {
    Bench bench({}, with_listener("0.0.0.0:80"));
    bench.join(TestAgent("[::1]:5555"));
    CHECK(bench.rows() == 1);
  }
}

TEST_CASE("Membership: its rules can change while its status is asked for", "[membership]") {
  Membership::Options rules;
  for (int i = 0; i < 64; ++i) rules.allow.push_back(Cidr::parse("10.0.0.0/8"));
  Bench bench({}, rules);
  std::atomic<bool> asked{false}, changed{false}, wrong{false};
  Thread asker("asker", [&] {
    while (!changed) {
      MonitoringStatus status;
      bench.membership.fill(status, bench.now);
      wrong = wrong || status.allowed.size() != 64;
      asked = true;
    }
  });
  for (int i = 0; i < 2000 || !asked; ++i) bench.membership.change_rules(rules);
  changed = true;
  asker.join();
  CHECK_FALSE(wrong);
}
