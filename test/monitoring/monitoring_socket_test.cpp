#include "monitoring/monitoring_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <random>
#include <system_error>
#include <vector>

#include "monitoring/golden.hpp"

using namespace farol;
using namespace farol::monitoring;
using End = MonitoringSocket::End;

namespace {

const KeyRing kNoKeys;
const Packet kRegister = Register{{80, 1, 2}, 1000};
const Packet kRequest = ProbeRequest{3, 4, false};

Address at(const char* text) { return Address::parse(text).value(); }

bool has_ipv6() { return is_local(at("[::1]:0")); }

/// The next datagram, waiting for it; nothing after two seconds without one.
std::optional<Received> next(MonitoringSocket& socket) {
  if (auto received = socket.receive()) return received;
  pollfd waiting{socket.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, 2000) > 0 ? socket.receive() : std::nullopt;
}

Envelope next_packet(MonitoringSocket& socket) {
  const auto received = next(socket);
  REQUIRE(received.has_value());
  REQUIRE(std::holds_alternative<Envelope>(*received));
  return std::get<Envelope>(*received);
}

Dropped next_drop(MonitoringSocket& socket) {
  const auto received = next(socket);
  REQUIRE(received.has_value());
  REQUIRE(std::holds_alternative<Dropped>(*received));
  return std::get<Dropped>(*received);
}

Envelope to(const Address& peer, const Packet& packet) { return {.packet = packet, .peer = peer, .local = {}}; }

/// Sends bytes as they are, from a socket that knows no protocol.
class RawSender {
 public:
  explicit RawSender(const Address& peer)
      : peer_(peer), fd_(::socket(peer.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  void send(std::span<const std::uint8_t> bytes) const {
    const SockAddr raw = peer_.raw();
    const auto sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, raw.get(), raw.size);
    REQUIRE(sent == static_cast<ssize_t>(bytes.size()));
  }

 private:
  Address peer_;
  Fd fd_;
};

}  // namespace

TEST_CASE("MonitoringSocket: every packet makes the way, signed or not", "[monitoring_socket]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  std::vector<Address> addresses = {at("127.0.0.1:0")};
  if (has_ipv6()) addresses.push_back(at("[::1]:0"));
  for (const KeyRing* ring : {&kNoKeys, &keys}) {
    for (const Address& address : addresses) {
      MonitoringSocket agent(End::agent, *ring, address);
      MonitoringSocket proxy(End::proxy, *ring, address);
      CHECK(proxy.local_address().port() != 0);
      for (const auto& example : golden::examples()) {
        const bool down = std::holds_alternative<ProbeRequest>(example.packet);
        MonitoringSocket& from = down ? proxy : agent;
        MonitoringSocket& into = down ? agent : proxy;
        const TimePoint before = Clock::now();
        REQUIRE(from.send(to(into.local_address(), example.packet)));
        const Envelope got = next_packet(into);
        CHECK(got.packet == example.packet);
        CHECK(got.peer == from.local_address());
        CHECK(got.local == into.local_address());
        CHECK(got.interface != 0);
        // The two clocks are read one after the other: allow for a preemption between them.
        CHECK(got.arrival > before - std::chrono::milliseconds(50));
        CHECK(got.arrival <= Clock::now());
      }
    }
  }
}

TEST_CASE("MonitoringSocket: the descriptor neither blocks nor is inherited", "[monitoring_socket]") {
  MonitoringSocket socket(End::proxy, kNoKeys);
  CHECK((::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_FALSE(socket.receive().has_value());
}

TEST_CASE("MonitoringSocket: the arrival is when the kernel got it, not when it was read", "[monitoring_socket]") {
  MonitoringSocket proxy(End::proxy, kNoKeys, at("127.0.0.1:0"));
  const MonitoringSocket agent(End::agent, kNoKeys, at("127.0.0.1:0"));
  // While the kernel switches stamping on (in the background, for the first socket that asks), it stamps on reading.
  Duration waited{};
  for (int attempt = 0; attempt < 50 && waited < std::chrono::milliseconds(40); ++attempt) {
    REQUIRE(agent.send(to(proxy.local_address(), kRegister)));
    ::poll(nullptr, 0, 50);  // it lies in the socket: time is what is tested
    const TimePoint read = Clock::now();
    waited = read - next_packet(proxy).arrival;
  }
  CHECK(waited > std::chrono::milliseconds(40));
  CHECK(waited < std::chrono::seconds(10));
}

TEST_CASE("MonitoringSocket: a dual-stack socket speaks IPv4 and IPv6", "[monitoring_socket]") {
  MonitoringSocket proxy(End::proxy, kNoKeys, std::uint16_t{0});
  std::vector<const char*> peers = {"127.0.0.1:0"};
  if (has_ipv6()) peers.push_back("[::1]:0");
  for (const char* peer : peers) {
    INFO(peer);
    MonitoringSocket agent(End::agent, kNoKeys, at(peer));
    const Address target = agent.local_address().with_port(proxy.local_address().port());
    REQUIRE(agent.send(to(target, kRegister)));
    Envelope got = next_packet(proxy);
    CHECK(got.peer == agent.local_address());
    CHECK(got.local == target);
    got.packet = kRequest;
    REQUIRE(proxy.send(got));
    const Envelope answer = next_packet(agent);
    CHECK(answer.packet == kRequest);
    CHECK(answer.peer == target);
  }
}

TEST_CASE("MonitoringSocket: an answer leaves from the address that was asked", "[monitoring_socket]") {
  for (const Address& wildcard : {Address::any(0), at("0.0.0.0:0")}) {
    INFO(wildcard.text());
    MonitoringSocket proxy(End::proxy, kNoKeys, wildcard);
    MonitoringSocket agent(End::agent, kNoKeys, at("127.0.0.1:0"));
    const Address second = at("127.0.0.2:0").with_port(proxy.local_address().port());
    REQUIRE(agent.send(to(second, kRegister)));
    Envelope got = next_packet(proxy);
    CHECK(got.local == second);
    got.packet = kRequest;
    REQUIRE(proxy.send(got));
    CHECK(next_packet(agent).peer == second);
  }
}

TEST_CASE("MonitoringSocket: what it cannot send is a lost packet, not an error", "[monitoring_socket]") {
  const MonitoringSocket v4(End::agent, kNoKeys, at("127.0.0.1:0"));
  CHECK_FALSE(v4.send(to(Address{}, kRegister)));
  CHECK_FALSE(v4.send(to(at("[::1]:9"), kRegister)));
  const MonitoringSocket any(End::agent, kNoKeys);
  Envelope foreign = to(at("127.0.0.1:9"), kRegister);
  foreign.local = at("192.0.2.1:0");  // not ours
  CHECK_FALSE(any.send(foreign));
  foreign.local = at("[::1]:0");  // the other family
  CHECK_FALSE(any.send(foreign));
}

TEST_CASE("MonitoringSocket: a peer that is not there does not stop receiving", "[monitoring_socket]") {
  MonitoringSocket agent(End::agent, kNoKeys, at("127.0.0.1:0"));
  Address gone;
  { gone = MonitoringSocket(End::proxy, kNoKeys, at("127.0.0.1:0")).local_address(); }
  for (int i = 0; i < 10; ++i) agent.send(to(gone, kRegister));
  const MonitoringSocket proxy(End::proxy, kNoKeys, at("127.0.0.1:0"));
  REQUIRE(proxy.send(to(agent.local_address(), kRequest)));
  CHECK(next_packet(agent).packet == kRequest);
}

TEST_CASE("MonitoringSocket: other sizes are dropped", "[monitoring_socket]") {
  MonitoringSocket proxy(End::proxy, kNoKeys, at("127.0.0.1:0"));
  const RawSender sender(proxy.local_address());
  for (const std::size_t size : {0U, 1U, 63U, 65U, 1400U, 65507U}) {
    INFO(size);
    std::vector<std::uint8_t> bytes(size);
    const PacketBytes packet = encode(kRegister);
    std::copy_n(packet.begin(), std::min(size, packet.size()), bytes.begin());
    sender.send(bytes);
    const Dropped dropped = next_drop(proxy);
    CHECK(dropped.reason == DropReason::size);
    CHECK(dropped.peer.ip_text() == "127.0.0.1");
  }
  sender.send(encode(kRegister));
  CHECK(next_packet(proxy).packet == kRegister);
}

TEST_CASE("MonitoringSocket: each end takes only the other's types", "[monitoring_socket]") {
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    const bool down = std::holds_alternative<ProbeRequest>(example.packet);
    MonitoringSocket wrong(down ? End::proxy : End::agent, kNoKeys, at("127.0.0.1:0"));
    RawSender(wrong.local_address()).send(golden::bytes(example.unsigned_hex));
    CHECK(next_drop(wrong).reason == DropReason::direction);
  }
}

TEST_CASE("MonitoringSocket: signatures are judged before contents", "[monitoring_socket]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  MonitoringSocket proxy(End::proxy, keys, at("127.0.0.1:0"));
  const RawSender sender(proxy.local_address());
  const auto reason_of = [&](PacketBytes bytes, std::optional<Direction> signing) {
    if (signing) keys.sign(bytes, *signing);
    sender.send(bytes);
    return next_drop(proxy).reason;
  };
  PacketBytes version_2 = encode(kRegister);
  version_2[0] = 2 << 3 | 1;
  PacketBytes type_5 = encode(kRegister);
  type_5[0] = kVersion << 3 | 5;
  PacketBytes reserved = encode(kRegister);
  reserved[47] = 1;
  CHECK(reason_of(encode(kRegister), std::nullopt) == DropReason::mac);
  CHECK(reason_of(version_2, std::nullopt) == DropReason::mac);
  CHECK(reason_of(version_2, Direction::agent_to_proxy) == DropReason::version);
  CHECK(reason_of(type_5, Direction::agent_to_proxy) == DropReason::type);
  CHECK(reason_of(reserved, Direction::agent_to_proxy) == DropReason::malformed);
  CHECK(reason_of(encode(kRequest), Direction::agent_to_proxy) == DropReason::direction);
  CHECK(reason_of(encode(kRequest), Direction::proxy_to_agent) == DropReason::mac);
  CHECK(reason_of(encode(kRegister), Direction::proxy_to_agent) == DropReason::mac);
}

TEST_CASE("MonitoringSocket: random datagrams are dropped, and the next packet is taken", "[monitoring_socket]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  MonitoringSocket proxy(End::proxy, keys, at("127.0.0.1:0"));
  const MonitoringSocket agent(End::agent, keys, at("127.0.0.1:0"));
  const RawSender sender(proxy.local_address());
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint8_t> bytes(round % 2 == 0 ? kPacketSize : random() % 100);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (round % 4 == 0) bytes[1] = 7;
    sender.send(bytes);
    const DropReason reason = next_drop(proxy).reason;
    CHECK((reason == DropReason::size || reason == DropReason::mac));
  }
  REQUIRE(agent.send(to(proxy.local_address(), kRegister)));
  CHECK(next_packet(proxy).packet == kRegister);
}

TEST_CASE("MonitoringSocket: a taken port is named", "[monitoring_socket]") {
  const MonitoringSocket first(End::proxy, kNoKeys, at("127.0.0.1:0"));
  CHECK_THROWS_WITH(MonitoringSocket(End::proxy, kNoKeys, first.local_address()),
                    "bind " + first.local_address().text() + ": Address already in use");
  CHECK_THROWS_AS(MonitoringSocket(End::proxy, kNoKeys, at("192.0.2.1:0")), std::system_error);
}
