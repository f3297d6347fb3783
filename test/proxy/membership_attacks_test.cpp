#include <malloc.h>

#include <catch2/catch.hpp>
#include <random>

#include "proxy/membership.hpp"
#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

// Everything that somebody who is no agent, or an agent that is no friend, can send.

namespace {

const TestAgent kVictim("10.0.0.1:5555", 1), kAttacker("10.0.0.66:5555", 666);

struct Seen {
  State state;
  monitoring::Load load;
  double loss;
  TimePoint last_packet;
  bool operator==(const Seen&) const = default;
};

Seen seen(Bench& bench, const TestAgent& agent) {
  const Backend& row = *bench.row(agent);
  return {row.state(bench.now), row.estimates().load(), row.estimates().loss().share(), row.agent.last_packet};
}

}  // namespace

TEST_CASE("Attack: a response that nobody asked for", "[membership][attack]") {
  Bench bench;
  for (const std::uint32_t sequence : {0U, 1U, 77U}) bench.deliver(kAttacker.peer, kAttacker.answer({sequence, 12345}));
  CHECK(bench.rows() == 0);
  CHECK(bench.dropped(DropReason::nonce) == 1);
  CHECK(bench.dropped(DropReason::unknown) == 2);
}

TEST_CASE("Attack: a response forged in a back-end's name", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  bench.probe_and_answer(kVictim);
  const auto probe = bench.probe(kVictim);
  bench.now += 1ms;
  const Seen before = seen(bench, kVictim);
  TestAgent forged = kVictim;
  forged.load = {10000, 10000, 100, 100};
  bench.deliver(forged.peer, forged.answer({probe.sequence, probe.nonce + 1}));
  bench.deliver(forged.peer, forged.answer({probe.sequence + 1, probe.nonce}));
  bench.deliver(forged.peer, forged.answer({probe.sequence, 0}));
  bench.deliver(forged.peer, forged.answer({0, 0}));
  forged.service.boot_id = 99;
  bench.deliver(forged.peer, forged.answer({probe.sequence, probe.nonce + 1}));
  CHECK(seen(bench, kVictim) == before);
  CHECK(bench.dropped(DropReason::nonce) == 5);
  bench.deliver(kVictim.peer, kVictim.answer(probe));
  CHECK(bench.dropped() == 5);
}

TEST_CASE("Attack: a replayed response", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  TestAgent once = kVictim;
  const auto probe = bench.probe(once);
  bench.now += 10ms;
  once.load = {1, 1, 1, 1};
  bench.deliver(once.peer, once.answer(probe));
  bench.probe_and_answer(kVictim);
  const Seen before = seen(bench, kVictim);
  bench.now += 1s;
  bench.deliver(once.peer, once.answer(probe));
  CHECK(seen(bench, kVictim) == before);  // not even a sign of life
  CHECK(bench.dropped(DropReason::nonce) == 1);
}

TEST_CASE("Attack: an answer to a challenge, sent twice or kept for later", "[membership][attack]") {
  Bench bench;
  const auto challenge = bench.deliver(kVictim.peer, kVictim.hello());
  REQUIRE(challenge);
  bench.deliver(kVictim.peer, kVictim.answer(*challenge));
  const Seen before = seen(bench, kVictim);
  bench.now += 1s;
  bench.deliver(kVictim.peer, kVictim.answer(*challenge));
  CHECK(seen(bench, kVictim) == before);
  CHECK(bench.dropped(DropReason::nonce) == 1);
  bench.remove(kVictim);
  bench.now += 16s;
  bench.deliver(kVictim.peer, kVictim.answer(*challenge));
  CHECK(bench.rows() == 0);
  CHECK(bench.dropped(DropReason::nonce) == 2);
}

TEST_CASE("Attack: another's nonce from one's own address", "[membership][attack]") {
  Bench bench;
  const auto challenge = bench.deliver(kVictim.peer, kVictim.hello());
  bench.deliver(kAttacker.peer, kAttacker.answer(*challenge));
  CHECK(bench.rows() == 0);
  bench.join(kVictim);
  const auto probe = bench.probe(kVictim);
  bench.deliver(kAttacker.peer, kAttacker.answer(probe));
  bench.deliver(kAttacker.peer, kVictim.answer(probe));
  bench.deliver(kAttacker.peer, kVictim.goodbye(probe.nonce));
  CHECK(bench.rows() == 1);
  CHECK(bench.row(kVictim)->is_outstanding(probe.sequence, probe.nonce));
  CHECK(bench.dropped(DropReason::nonce) == 1);
  CHECK(bench.dropped(DropReason::unknown) == 3);
}

TEST_CASE("Attack: a challenge's nonce under another number", "[membership][attack]") {
  Bench bench;
  const auto challenge = bench.deliver(kVictim.peer, kVictim.hello());
  bench.deliver(kVictim.peer, kVictim.answer({1, challenge->nonce}));
  CHECK(bench.rows() == 0);
}

TEST_CASE("Attack: a packet in the wrong direction", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  CHECK_FALSE(bench.deliver(kVictim.peer, monitoring::ProbeRequest{1, 2, true}));
  CHECK(bench.dropped(DropReason::direction) == 1);
}

TEST_CASE("Attack: a Register's claims are never believed", "[membership][attack]") {
  Bench bench;
  TestAgent claimed = kVictim;
  claimed.service = {8080, monitoring::pool_id("web"), 4711};
  const auto challenge = bench.deliver(kVictim.peer, claimed.hello(1));
  REQUIRE(challenge);
  bench.deliver(kVictim.peer, kVictim.answer(*challenge));
  CHECK(bench.row(claimed) == nullptr);
  REQUIRE(bench.row(kVictim) != nullptr);
  CHECK(bench.row(kVictim)->agent.boot_id == kVictim.service.boot_id);
  const Seen before = seen(bench, kVictim);
  CHECK(bench.deliver(kVictim.peer, claimed.hello()));  // a question to whoever is there, no more
  CHECK(seen(bench, kVictim) == before);
  CHECK(bench.row(kVictim)->agent.register_interval == Duration::zero());
  CHECK(bench.rows() == 1);
}

TEST_CASE("Attack: a forged or replayed Deregister", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  bench.probe_and_answer(kVictim);
  const auto recorded = bench.probe(kVictim);
  bench.deliver(kVictim.peer, kVictim.answer(recorded));
  bench.deliver(kVictim.peer, kVictim.goodbye(0));
  bench.deliver(kVictim.peer, kVictim.goodbye(12345));
  CHECK(bench.dropped(DropReason::nonce) == 2);
  TestAgent other = kVictim;
  other.service.boot_id = 2;
  bench.deliver(kVictim.peer, other.goodbye(recorded.nonce));
  other = kVictim;
  other.service.port = 81;
  bench.deliver(kVictim.peer, other.goodbye(recorded.nonce));
  CHECK(bench.dropped(DropReason::unknown) == 2);
  CHECK(bench.state(kVictim) == State::up);

  bench.deliver(kVictim.peer, kVictim.goodbye(recorded.nonce));
  CHECK(bench.rows() == 0);
  TestAgent again = kVictim;
  again.service.boot_id = 2;
  bench.join(again);
  bench.deliver(kVictim.peer, kVictim.goodbye(recorded.nonce));  // of the life before
  bench.deliver(kVictim.peer, again.goodbye(recorded.nonce));
  CHECK(bench.state(again) == State::up);
}

TEST_CASE("Attack: two live agents behind one identity", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  TestAgent rival("10.0.0.1:6666", 666);
  for (int i = 1; i <= 5; ++i) {
    bench.join(rival);
    bench.probe_and_answer(kVictim);
    CHECK(bench.row(kVictim)->conflicts == static_cast<std::uint64_t>(i));
    bench.pass(5s);
  }
  CHECK(bench.dropped(DropReason::conflict) == 5);
  CHECK(bench.rows() == 1);
  CHECK(bench.row(kVictim)->agent.boot_id == kVictim.service.boot_id);
  CHECK(bench.row(kVictim)->estimates().loss().share() == 0);
}

TEST_CASE("Attack: while this process sleeps nobody loses its identity", "[membership][attack]") {
  Bench bench;
  bench.join(kVictim);
  bench.join(TestAgent("10.0.0.1:6666", 666));
  bench.probe(kVictim);
  bench.now += 10s;
  bench.alarms.tick(bench.now, true);
  bench.pass(600ms);  // the void probe goes unanswered: it decides nothing
  CHECK(bench.row(kVictim)->agent.boot_id == kVictim.service.boot_id);
  bench.probe_and_answer(kVictim);
  CHECK(bench.row(kVictim)->conflicts == 1);
}

TEST_CASE("Attack: sources outside the ranges", "[membership][attack]") {
  Membership::Options rules;
  rules.allow = {Cidr::parse("10.0.0.0/8"), Cidr::parse("::1")};
  Bench bench({}, rules);
  const TestAgent outside("192.0.2.1:5555", 2);
  CHECK_FALSE(bench.deliver(outside.peer, outside.hello()));
  bench.deliver(outside.peer, outside.answer({0, 1}));
  bench.deliver(outside.peer, outside.goodbye(1));
  CHECK(bench.dropped(DropReason::not_allowed) == 3);
  bench.join(kVictim);
  bench.join(TestAgent("[::1]:5555", 3));
  CHECK(bench.rows() == 2);
  CHECK_FALSE(bench.membership.challenge({outside.peer, {}, 0}, bench.now));  // as one from the state file
  CHECK(bench.membership.challenge({kVictim.peer, {}, 0}, bench.now));
}

TEST_CASE("Attack: more back-ends than the table takes", "[membership][attack]") {
  BackendTable::Options options;
  options.max_backends = 2;
  Bench bench(options);
  bench.join(kVictim);
  for (int port = 1; port <= 10; ++port)
    bench.join(TestAgent("10.0.0.66:6666", 666, static_cast<std::uint16_t>(port)));
  CHECK(bench.rows() == 2);
  CHECK(bench.dropped(DropReason::table_full) == 9);
  CHECK(bench.state(kVictim) == State::up);
  CHECK(bench.state(TestAgent("10.0.0.66:6666", 666, 1)) == State::up);  // what was refused changed nothing
  bench.probe_and_answer(kVictim);
  CHECK(bench.dropped() == 9);
}

TEST_CASE("Attack: 100 000 spoofed sources cost a packet each and no memory", "[membership][attack]") {
  constexpr std::uint32_t kSources = 100'000;
  Bench bench;
  bench.join(kVictim);
  std::minstd_rand random(1);
  const auto flood = [&](std::uint32_t count) {
    std::uint32_t replies = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Address source = Address::ipv4(0x0b000000 + i, static_cast<std::uint16_t>(1 + random() % 65535));
      const monitoring::Service service{static_cast<std::uint16_t>(1 + i % 65535), i, random()};
      replies += bench.deliver(source, monitoring::Register{service, 1 + i}).has_value() ? 1 : 0;
      bench.deliver(source, monitoring::ProbeResponse{service, i % 2, random(), {}, true, false});
      bench.deliver(source, monitoring::Deregister{service, random()});
    }
    return replies;
  };
  flood(100);  // whatever is allocated once
  const auto before = ::mallinfo2().uordblks;
  CHECK(flood(kSources) == kSources);
  CHECK(::mallinfo2().uordblks <= before + 64 * 1024);
  CHECK(bench.rows() == 1);
  CHECK(bench.table.status(bench.now).size() == 1);
  CHECK(bench.dropped() == 2 * (kSources + 100));
  bench.probe_and_answer(kVictim);
  CHECK(bench.row(kVictim)->estimates().rtt().sample());
}
