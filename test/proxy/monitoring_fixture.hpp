#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "common/log.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/alarms.hpp"
#include "proxy/backend_table_access.hpp"
#include "proxy/counters.hpp"
#include "proxy/membership.hpp"

namespace farol::test {

/// What the tests of the monitoring rules stand on: a table with its rules, a clock that the test turns, and agents
/// that say what the test makes them say. No sockets and no threads.

using namespace std::chrono_literals;
using monitoring::DropReason;
using monitoring::Envelope;
using proxy::AdminState;
using proxy::Backend;
using proxy::BackendTable;
using proxy::Policy;
using proxy::Source;
using proxy::State;

inline constexpr TimePoint kStart{std::chrono::hours(1000)};

inline Address at(const char* text) { return Address::parse(text).value(); }
inline std::uint32_t default_pool() { return monitoring::pool_id(monitoring::kDefaultPool); }

/// A logger that nobody reads.
inline const Logger& silent_log() {
  static const Logger log(-1, LogLevel::error, LogFormat::text);
  return log;
}

/// What an agent is and says.
struct TestAgent {
  explicit TestAgent(const char* peer_text, std::uint64_t boot_id = 1, std::uint16_t port = 80)
      : peer(at(peer_text)), service{port, default_pool(), boot_id} {}

  Address peer;
  monitoring::Service service;
  monitoring::Load load{1000, 2000, 3, 1};
  bool listening = true, draining = false;

  [[nodiscard]] monitoring::Register hello(std::uint32_t interval_ms = 20'000) const { return {service, interval_ms}; }
  [[nodiscard]] monitoring::ProbeResponse answer(const monitoring::ProbeRequest& request) const {
    return {service, request.sequence, request.nonce, load, listening, draining};
  }
  [[nodiscard]] monitoring::Deregister goodbye(std::uint64_t nonce) const { return {service, nonce}; }
  [[nodiscard]] proxy::BackendKey key() const { return {peer.with_port(service.port), service.pool}; }
  [[nodiscard]] std::string name() const { return key().address.text(); }
};

/// The table, who may be in it, and its alarms.
class Bench {
 public:
  explicit Bench(BackendTable::Options table_options = {}, proxy::Membership::Options rules = {})
      : timers(rules.timers),
        table(std::move(table_options)),
        membership(table, std::move(rules), counters, silent_log()) {
    table.name_pool(std::string(monitoring::kDefaultPool));
  }

  TimePoint now = kStart;
  const proxy::MonitoringConfig timers;
  proxy::Counters counters;
  BackendTable table;
  proxy::Membership membership;
  proxy::Alarms alarms{table, timers, silent_log()};

  /// A datagram arrives; the result is what the proxy sends back to its source.
  std::optional<monitoring::ProbeRequest> deliver(const Address& from, const monitoring::Packet& packet) {
    const auto reply = membership.handle({packet, from, local_, 0, now}, now);
    if (!reply) return std::nullopt;
    CHECK(reply->peer == from);
    CHECK(reply->local == local_);
    return std::get<monitoring::ProbeRequest>(reply->packet);
  }
  /// Registers and answers the challenge.
  void join(const TestAgent& agent) {
    const auto challenge = deliver(agent.peer, agent.hello());
    REQUIRE(challenge);
    deliver(agent.peer, agent.answer(*challenge));
  }
  /// The row of an agent; nullptr without one.
  [[nodiscard]] Backend* row(const TestAgent& agent) { return table.access().by_key(agent.key()); }
  void remove(const TestAgent& agent) {
    const auto access = table.access();
    access.remove(*access.by_key(agent.key()));
  }
  [[nodiscard]] std::size_t rows() { return table.access().rows().size(); }
  [[nodiscard]] State state(const TestAgent& agent) {
    REQUIRE(row(agent) != nullptr);
    return row(agent)->state(now);
  }
  /// What the probe timer does, for one row.
  monitoring::ProbeRequest probe(const TestAgent& agent) {
    REQUIRE(row(agent) != nullptr);
    const auto access = table.access();
    return access.make_probe(*access.by_key(agent.key()), monitoring::random_u64(), now, timers.probe_timeout);
  }
  /// A probe and its answer after `rtt`.
  void probe_and_answer(const TestAgent& agent, Duration rtt = 10ms) {
    const auto request = probe(agent);
    now += rtt;
    deliver(agent.peer, agent.answer(request));
  }
  /// The alarms look each 50 ms until `span` is over; the checks they ask for.
  std::vector<proxy::Alarms::CheckToStart> pass(Duration span) {
    std::vector<proxy::Alarms::CheckToStart> checks;
    for (const TimePoint end = now + span; now < end;) {
      now += 50ms;
      for (const auto& check : alarms.tick(now, false)) checks.push_back(check);
      CHECK(overlooked() == 0);
    }
    return checks;
  }
  /// Probes that get no answer, one after the other; no other is planned for the next minute.
  void lose(const TestAgent& agent, int probes) {
    Backend& lost = *row(agent);
    for (; probes > 0; --probes) {
      table.access().schedule_probe(lost, now + std::chrono::minutes(1));
      probe(agent);
      pass(std::chrono::milliseconds(500));
    }
  }
  /// Rows at which the alarms will look later than something is due to them.
  [[nodiscard]] std::ptrdiff_t overlooked() {
    const auto access = table.access();
    return std::count_if(access.rows().begin(), access.rows().end(), [&](const auto& each) {
      const Backend& row = *each.second;
      // A Register can make it forgotten sooner: that is found out when it is next asked whether it is alive.
      const bool remembered = row.forgotten_at(timers) < now && row.next_look > now + timers.alive_interval;
      return row.next_look > row.next_alarm() || remembered;
    });
  }
  void connect_failed(const TestAgent& agent, bool may_eject) {
    const auto access = table.access();
    Backend& row = *access.by_key(agent.key());
    row.connect_failed(now, may_eject);
    access.refresh(row, now);
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) const { return counters.dropped(reason); }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < monitoring::kDropReasons; ++i) sum += counters.dropped(static_cast<DropReason>(i));
    return sum;
  }
  /// A choice after the tick, so that it sees what the test changed by hand and what time has changed.
  std::optional<proxy::Lease> acquire(const std::vector<std::uint64_t>& tried = {},
                                      std::vector<proxy::Explained>* explained = nullptr) {
    return acquire_from(table.name_pool(std::string(monitoring::kDefaultPool)), tried, explained);
  }
  std::optional<proxy::Lease> acquire_from(proxy::Pool& pool, const std::vector<std::uint64_t>& tried = {},
                                           std::vector<proxy::Explained>* explained = nullptr) {
    table.tick(now);
    return table.acquire(pool, {tried, now, 0, explained});
  }
  /// A static back-end, as --backend adds it.
  Backend& add_static(const char* address) {
    const auto access = table.access();
    Backend* added = access.add({at(address), default_pool()}, Source::configured);
    REQUIRE(added != nullptr);
    added->next_check = now;
    access.refresh(*added, now);
    return *added;
  }

 private:
  const Address local_ = at("10.0.0.9:5555");
};

}  // namespace farol::test
