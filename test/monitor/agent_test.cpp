#include "monitor/agent.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <utility>

#include "common/thread.hpp"

using namespace farol;
using namespace farol::monitor;
using namespace std::chrono_literals;
using monitoring::Envelope;
using monitoring::MonitoringSocket;
using monitoring::ProbeRequest;
using monitoring::ProbeResponse;
using monitoring::Register;

namespace {

const Address kLoopback = Address::ipv4(0x7f000001, 0);
constexpr Duration kPatience = 5s;
const monitoring::Service kService{8080, 77, 4711};

const monitoring::Load kFixed{10000, 10000, 100, 100};

/// An agent on loopback that reports fixed figures unless told otherwise, and the proxy it registers with.
class Bench {
 public:
  explicit Bench(
      std::optional<monitoring::Load> fixed = kFixed, SocketWatch::Counter counter = [] { return ServiceSockets(); })
      : source_{8080, fixed, ""}, sockets(std::move(counter)) {
    agent.set_proxies({proxy.local_address()}, Clock::now());
    threads_[0] = Thread("register", [this] { agent.run_register(stop_); });
    threads_[1] = Thread("answer", [this] { agent.run_answer(stop_); });
  }
  ~Bench() { finish(); }
  void finish() {
    stop_.fire();
    for (Thread& thread : threads_) thread.join();
  }

  void send(const MonitoringSocket& from, const monitoring::Packet& packet) const {
    Envelope envelope;
    envelope.packet = packet;
    envelope.peer = agent_socket.local_address();
    REQUIRE(from.send(envelope));
  }

  /// The next packet of a kind that arrives at `at`; others are passed over.
  template <typename Kind>
  Kind await(MonitoringSocket& at) const {
    const TimePoint deadline = Clock::now() + kPatience;
    while (wait_readable(at.fd(), never_, deadline) == Wake::ready) {
      const auto received = at.receive();
      if (!received) continue;
      const auto* envelope = std::get_if<Envelope>(&*received);
      if (envelope == nullptr) continue;
      if (const auto* packet = std::get_if<Kind>(&envelope->packet)) return *packet;
    }
    FAIL("nothing arrived");
    return {};
  }

 private:
  const monitoring::KeyRing keys_;
  const Logger log_{STDERR_FILENO, LogLevel::error, LogFormat::text};
  const LoadSource source_;
  StopEvent stop_, never_;
  Thread threads_[2];

 public:
  SocketWatch sockets;
  MonitoringSocket proxy{MonitoringSocket::End::proxy, keys_, kLoopback};
  MonitoringSocket stranger{MonitoringSocket::End::proxy, keys_, kLoopback};
  MonitoringSocket agent_socket{MonitoringSocket::End::agent, keys_, kLoopback};
  LoadReporter reporter{source_, sockets, Clock::now(), log_};
  Agent agent{kService, 20s, agent_socket, reporter, log_};
};

}  // namespace

TEST_CASE("Agent: registers, and answers its proxy with the request's sequence and nonce", "[agent]") {
  Bench bench;
  CHECK(bench.await<Register>(bench.proxy) == Register{kService, 20000});
  bench.send(bench.proxy, ProbeRequest{3, 99, false});
  const auto response = bench.await<ProbeResponse>(bench.proxy);
  CHECK(response.service == kService);
  CHECK(response.sequence == 3);
  CHECK(response.nonce == 99);
  CHECK(response.load == monitoring::Load{10000, 10000, 100, 100});
  CHECK_FALSE(response.draining);
}

TEST_CASE("Agent: a stranger's probe gets no answer", "[agent]") {
  Bench bench;
  bench.send(bench.stranger, ProbeRequest{1, 1, false});
  bench.send(bench.proxy, ProbeRequest{2, 2, false});
  // Packets are answered in their order: once the proxy has its answer, the stranger would have one too.
  CHECK(bench.await<ProbeResponse>(bench.proxy).sequence == 2);
  CHECK_FALSE(bench.stranger.receive());
}

TEST_CASE("Agent: draining travels in every answer", "[agent]") {
  Bench bench;
  CHECK(bench.agent.toggle_draining());
  bench.send(bench.proxy, ProbeRequest{1, 1, false});
  CHECK(bench.await<ProbeResponse>(bench.proxy).draining);
  CHECK_FALSE(bench.agent.toggle_draining());
  bench.send(bench.proxy, ProbeRequest{2, 2, false});
  CHECK_FALSE(bench.await<ProbeResponse>(bench.proxy).draining);
}

TEST_CASE("Agent: answers with the last count while the sockets are being counted", "[agent]") {
  StopEvent counting, go_on;
  int counts = 0;
  Bench bench(std::nullopt, [&] {
    if (++counts == 1) return ServiceSockets{3, true};
    counting.fire();
    go_on.wait_until(Clock::now() + kPatience);
    return ServiceSockets{7, false};
  });
  Thread again("count", [&] { bench.sockets.refresh(); });
  CHECK(counting.wait_until(Clock::now() + kPatience));
  bench.send(bench.proxy, ProbeRequest{1, 1, false});
  CHECK(bench.await<ProbeResponse>(bench.proxy).load.tcp_service == 3);
  go_on.fire();
  again.join();
  bench.send(bench.proxy, ProbeRequest{2, 2, false});
  const auto response = bench.await<ProbeResponse>(bench.proxy);
  CHECK(response.load.tcp_service == 7);
  CHECK_FALSE(response.listening);
}

TEST_CASE("Agent: says good-bye with the nonce of the last probe", "[agent]") {
  Bench bench;
  for (const std::uint32_t n : {1U, 2U}) {
    bench.send(bench.proxy, ProbeRequest{n, n * 100, false});
    bench.await<ProbeResponse>(bench.proxy);
  }
  bench.finish();
  bench.agent.deregister();
  CHECK(bench.await<monitoring::Deregister>(bench.proxy) == monitoring::Deregister{kService, 200});
}
