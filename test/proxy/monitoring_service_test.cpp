#include "proxy/monitoring_service.hpp"

#include <catch2/catch.hpp>
#include <algorithm>
#include <list>
#include <set>
#include <vector>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using monitoring::MonitoringSocket;
using monitoring::ProbeRequest;

namespace {

const monitoring::KeyRing kNoKeys;
const Address kLoopback = Address::ipv4(0x7f000001, 0);
constexpr Duration kPatience = 20s;

/// An agent that speaks when the test says so.
struct ScriptedAgent {
  explicit ScriptedAgent(std::uint64_t boot_id, std::uint16_t port = 80)
      : service{port, default_pool(), boot_id} {}

  const monitoring::Service service;
  MonitoringSocket socket{MonitoringSocket::End::agent, kNoKeys, kLoopback};
  Address proxy;

  [[nodiscard]] BackendKey key() const { return {kLoopback.with_port(service.port), service.pool}; }
  void say(const monitoring::Packet& packet) const { REQUIRE(socket.send({packet, proxy, {}, 0, {}})); }
  void answer(const ProbeRequest& request) const {
    say(monitoring::ProbeResponse{service, request.sequence, request.nonce, {100, 200, 3, 1}, true, false});
  }
  std::optional<ProbeRequest> take() {
    while (const auto received = socket.receive())
      if (const auto* envelope = std::get_if<Envelope>(&*received)) return std::get<ProbeRequest>(envelope->packet);
    return std::nullopt;
  }
  ProbeRequest await() {
    const StopEvent never;
    const TimePoint deadline = Clock::now() + kPatience;
    while (wait_readable(socket.fd(), never, deadline) == Wake::ready)
      if (const auto request = take()) return *request;
    FAIL("no probe came");
    return {};
  }
};

/// The service on a port of its own. Probes come often, so that a test need not wait.
class ServiceBench {
 public:
  explicit ServiceBench(Duration probe_interval = 50ms, Duration probe_timeout = 5s)
      : timers_{probe_interval, probe_timeout, 60s, 1s} {
    table.name_pool(std::string(monitoring::kDefaultPool));
  }

 private:
  const MonitoringConfig timers_;
  MonitoringSocket socket_{MonitoringSocket::End::proxy, kNoKeys, kLoopback};

 public:
  Counters counters;
  BackendTable table{BackendTable::Options{}};
  Membership membership{table, {timers_, {}, {}}, counters, silent_log()};
  Heartbeats heartbeats{200ms};
  MonitoringService service{table, socket_, membership, timers_, silent_log(), &heartbeats};

  [[nodiscard]] Address address() const { return socket_.local_address(); }
  void join(ScriptedAgent& agent) const {
    agent.proxy = address();
    agent.say(monitoring::Register{agent.service, 20'000});
    const ProbeRequest challenge = agent.await();
    CHECK(challenge.sequence == 0);
    agent.answer(challenge);
  }
  /// Polls the table until `condition` is true.
  template <typename Condition>
  void until(Condition condition) {
    const TimePoint deadline = Clock::now() + kPatience;
    const StopEvent never;
    while (!condition()) {
      REQUIRE(Clock::now() < deadline);
      never.wait_until(Clock::now() + 5ms);
    }
  }
  bool knows(const ScriptedAgent& agent) { return table.access().by_key(agent.key()) != nullptr; }
};

}  // namespace

TEST_CASE("MonitoringService: an agent registers, is challenged, is in, is probed in order", "[monitoring_service]") {
  ServiceBench bench;
  ScriptedAgent agent(1);
  bench.join(agent);
  for (std::uint32_t sequence = 1; sequence <= 5; ++sequence) {
    const ProbeRequest probe = agent.await();
    CHECK(probe.sequence == sequence);
    CHECK(probe.nonce != 0);
    CHECK_FALSE(probe.leaving);
    agent.answer(probe);
  }
  bench.until([&] { return bench.table.status(Clock::now()).at(0).rtt_sample_ms.has_value(); });
  const auto rows = bench.table.status(Clock::now());
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].address == kLoopback.with_port(80));
  CHECK(rows[0].state == State::up);
  CHECK(*rows[0].rtt_sample_ms < 5000);
  CHECK(rows[0].loss == 0);
}

TEST_CASE("MonitoringService: says goodbye to every agent when it stops", "[monitoring_service]") {
  ServiceBench bench(1h);
  std::list<ScriptedAgent> agents;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    bench.join(agents.emplace_back(i, static_cast<std::uint16_t>(80 + i)));
    agents.back().answer(agents.back().await());
  }
  bench.service.stop();
  for (ScriptedAgent& agent : agents) {
    const ProbeRequest last = agent.await();
    CHECK(last.leaving);
    CHECK(last.sequence == 2);
  }
  bench.service.stop();  // once is enough
  for (ScriptedAgent& agent : agents) CHECK_FALSE(agent.take());
}

TEST_CASE("MonitoringService: what is no packet is counted by reason and harms nobody", "[monitoring_service]") {
  ServiceBench bench;
  const Fd raw(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SockAddr to = bench.address().raw();
  const auto send = [&](std::span<const std::uint8_t> bytes) {
    REQUIRE(::sendto(raw.get(), bytes.data(), bytes.size(), 0, to.get(), to.size) >= 0);
  };
  const monitoring::PacketBytes good = monitoring::encode(monitoring::Register{{80, 1, 2}, 1000});
  const auto changed = [&](std::size_t at, std::uint8_t byte) {
    monitoring::PacketBytes bytes = good;
    bytes[at] = byte;
    return bytes;
  };
  const auto answer = monitoring::encode(monitoring::ProbeResponse{{80, 1, 2}, 5, 6, {}, false, false});
  send({});
  send(std::span(good).first(63));
  send(std::vector<std::uint8_t>(65, 9));
  send(changed(0, 0x11));                                     // version 2
  send(changed(0, 0x0d));                                     // type 5
  send(changed(46, 1));                                       // reserved
  send(changed(63, 1));                                       // a MAC, where there are no keys
  send(monitoring::encode(ProbeRequest{1, 2, false}));        // direction
  send(answer);                                               // unknown
  const std::vector<std::pair<DropReason, std::uint64_t>> expected = {
      {DropReason::size, 3}, {DropReason::version, 1},   {DropReason::type, 1},   {DropReason::malformed, 1},
      {DropReason::mac, 1},  {DropReason::direction, 1}, {DropReason::unknown, 1}};
  bench.until([&] { return bench.counters.dropped(DropReason::unknown) == 1; });
  for (const auto& [reason, count] : expected) {
    INFO(to_string(reason));
    CHECK(bench.counters.dropped(reason) == count);
  }
  ScriptedAgent agent(1);
  bench.join(agent);
  CHECK(agent.await().sequence == 1);
}

TEST_CASE("MonitoringService: several agents of one host, each probed at its port", "[monitoring_service]") {
  ServiceBench bench;
  std::list<ScriptedAgent> agents;
  for (std::uint64_t i = 1; i <= 4; ++i) bench.join(agents.emplace_back(i, static_cast<std::uint16_t>(80 + i)));
  std::set<std::uint64_t> nonces;
  for (ScriptedAgent& agent : agents)
    for (std::uint32_t sequence = 1; sequence <= 3; ++sequence) {
      const ProbeRequest probe = agent.await();
      CHECK(probe.sequence == sequence);
      CHECK(nonces.insert(probe.nonce).second);
      agent.answer(probe);
    }
  CHECK(bench.table.status(Clock::now()).size() == 4);
}

TEST_CASE("MonitoringService: shorter timers hold at once, also for what was planned before", "[monitoring_service]") {
  ServiceBench bench(1h, 50s);  // and once a minute it is looked whether the agent is alive
  ScriptedAgent agent(1);
  bench.join(agent);
  CHECK(agent.await().sequence == 1);
  bench.service.change_timers({1h, 50s, 100ms, 1s});
  bench.until([&] {
    const auto rows = bench.table.status(Clock::now());
    return rows.empty() || rows[0].agent_silent;
  });
}

TEST_CASE("MonitoringService: a Deregister takes a row away", "[monitoring_service]") {
  ServiceBench bench;
  ScriptedAgent agent(1);
  bench.join(agent);
  const ProbeRequest probe = agent.await();
  CHECK(bench.knows(agent));
  agent.say(monitoring::Deregister{agent.service, probe.nonce});
  bench.until([&] { return !bench.knows(agent); });
}

TEST_CASE("MonitoringService: agents that start together are not probed in a burst", "[monitoring_service]") {
  constexpr std::size_t kAgents = 40;
  constexpr Duration kInterval = 1s;
  ServiceBench bench(kInterval);
  std::list<ScriptedAgent> agents;
  for (std::uint64_t i = 1; i <= kAgents; ++i) bench.join(agents.emplace_back(i, static_cast<std::uint16_t>(80 + i)));
  for (ScriptedAgent& agent : agents) agent.answer(agent.await());  // at once: the challenge measured nothing
  const TimePoint start = Clock::now();
  // From here on the schedule tells: when each is due next, without waiting for it.
  std::vector<Duration> due;
  bench.until([&] {
    due.clear();
    const auto rows = bench.table.access();
    for (const auto& [id, row] : rows.rows()) due.push_back(row->next_probe - start);
    return std::all_of(due.begin(), due.end(), [&](Duration d) { return d < 2 * kInterval; });
  });
  std::sort(due.begin(), due.end());
  REQUIRE(due.size() == kAgents);
  CHECK(due.back() - due.front() > kInterval / 4);
  std::size_t most = 0;  // within any tenth of the interval
  for (std::size_t first = 0, last = 0; last < due.size(); ++last) {
    while (due[last] - due[first] > kInterval / 10) ++first;
    most = std::max(most, last - first + 1);
  }
  CHECK(most <= kAgents / 2);
}

TEST_CASE("MonitoringService: a thread that hangs is noticed, and idle ones never look like it", "[monitoring_service]") {
  ServiceBench bench;
  {
    const auto rows = bench.table.access();  // whoever needs the table waits for this one
    bench.until([&] {  // a busy machine may make another look so for a moment
      const auto name = bench.heartbeats.stuck(Clock::now());
      return name == "alarm" || name == "probe-timer";
    });
  }
  bench.until([&] { return !bench.heartbeats.stuck(Clock::now()).has_value(); });
}
