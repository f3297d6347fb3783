#include "gateway/sessions.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "fileserver/gateway_link.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace farol::transfer;
using namespace std::chrono_literals;
using fileserver::GatewayLink;

namespace {

const Address kGateway = *Address::parse("10.0.0.1:80");

/// A gateway's sessions, file servers by the book, and the network between.
struct Network {
  Sessions sessions;
  TimePoint now{1h};

  explicit Network(Sessions::Options options = {{Cidr::parse("10.0.0.0/8")}}) : sessions(std::move(options), {7}, 1) {}

  Sessions::Arrived tell(const Address& from, std::span<std::uint8_t> datagram, std::span<std::uint8_t> reply) {
    return sessions.arrived(now, {from, kGateway, 0}, datagram, reply);
  }
};

struct Peer {
  Network& network;
  Address address;
  GatewayLink link;
  bool connected = false;
  std::vector<Sessions::Arrived> arrived;

  Peer(Network& its_network, const std::string& its_address, const std::string& name, std::uint64_t boot_id = 1)
      : network(its_network),
        address(*Address::parse(its_address)),
        link({name, boot_id}, [random = std::mt19937_64(boot_id)]() mutable { return random(); }) {
    link.set_gateways({kGateway}, network.now);
  }

  /// Sends what it has to say, and takes the answers, until both are silent.
  void talk() {
    for (int round = 0; round < 10; ++round) {
      link.tick({}, network.now);
      auto outgoing = link.take_outgoing();
      if (outgoing.empty()) return;
      for (auto& out : outgoing) {
        std::array<std::uint8_t, kMaxDatagram> reply{};
        arrived.push_back(network.tell(address, out.datagram, reply));
        const auto& last = arrived.back();
        if (last.reply > 0) hear(std::span(reply).first(last.reply));
        if (last.message && std::holds_alternative<Heartbeat>(*last.message)) {
          std::array<std::uint8_t, kMaxDatagram> ack{};
          hear(std::span(ack).first(network.sessions.seal(last.from, 0, HeartbeatAck{}, ack)));
        }
      }
    }
  }
  void hear(std::span<std::uint8_t> datagram) {
    static_cast<void>(link.receive(datagram, kGateway, network.now));
    for (const auto& notice : link.take_notices()) connected = notice.change == GatewayLink::Change::connected;
  }
  const Sessions::Arrived* joined() const {
    for (const auto& each : arrived)
      if (each.joined) return &each;
    return nullptr;
  }
};

}  // namespace

TEST_CASE("Sessions: a file server registers, and is in the pool with its first heartbeat", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.talk();
  REQUIRE(peer.joined() != nullptr);
  CHECK(peer.connected);
  CHECK(peer.joined()->joined->name == "one");
  CHECK(peer.joined()->joined->address == peer.address);
  CHECK_FALSE(peer.joined()->left);
  CHECK(network.sessions.confirmed() == std::vector<ServerId>{peer.joined()->joined->id});
}

TEST_CASE("Sessions: strangers outside the allowed ranges are dropped without an answer", "[sessions]") {
  Network network;
  Peer peer(network, "192.0.2.1:4000", "one");
  peer.talk();
  CHECK_FALSE(peer.connected);
  REQUIRE_FALSE(peer.arrived.empty());
  CHECK(peer.arrived[0].dropped == DropReason::not_allowed);
  CHECK(peer.arrived[0].reply == 0);
}

TEST_CASE("Sessions: an answer is never larger than the question, and costs no memory before the cookie", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.link.tick({}, network.now);
  auto wish = peer.link.take_outgoing().at(0).datagram;
  const std::size_t asked = wish.size();
  std::array<std::uint8_t, kMaxDatagram> reply{};
  const auto arrived = network.tell(peer.address, wish, reply);
  CHECK(arrived.reply > 0);
  CHECK(arrived.reply < asked);
  peer.hear(std::span(reply).first(arrived.reply));  // its cookie
  auto again = peer.link.take_outgoing().at(0).datagram;
  const auto elsewhere = network.tell(*Address::parse("10.0.0.3:4000"), again, reply);
  CHECK(elsewhere.dropped == DropReason::cookie);  // good for its address only
  CHECK(network.sessions.dropped(DropReason::cookie) == 1);
}

TEST_CASE("Sessions: a cookie expires", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.link.tick({}, network.now);
  auto wish = peer.link.take_outgoing().at(0).datagram;
  std::array<std::uint8_t, kMaxDatagram> reply{};
  peer.hear(std::span(reply).first(network.tell(peer.address, wish, reply).reply));
  auto again = peer.link.take_outgoing().at(0).datagram;
  network.now += 61s;
  CHECK(network.tell(peer.address, again, reply).dropped == DropReason::cookie);
}

TEST_CASE("Sessions: a server that started anew takes its name over", "[sessions]") {
  Network network;
  Peer first(network, "10.0.0.2:4000", "one", 1);
  first.talk();
  Peer second(network, "10.0.0.2:4001", "one", 2);
  second.talk();
  REQUIRE(second.joined() != nullptr);
  CHECK(second.joined()->left == first.joined()->joined->id);
  CHECK(network.sessions.confirmed().size() == 1);
  Peer other(network, "10.0.0.2:4002", "two", 3);
  other.talk();
  CHECK_FALSE(other.joined()->left);
  CHECK(network.sessions.confirmed().size() == 2);
}

TEST_CASE("Sessions: goodbye ends a session", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.talk();
  peer.link.leave();
  peer.talk();
  CHECK(peer.arrived.back().left == peer.joined()->joined->id);
  CHECK(network.sessions.confirmed().empty());
}

TEST_CASE("Sessions: corrupt, replayed and strange datagrams are counted and change nothing", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.talk();
  network.now += 2s;
  peer.link.tick({}, network.now);
  const auto beat = peer.link.take_outgoing().at(0).datagram;
  std::array<std::uint8_t, kMaxDatagram> reply{};
  for (std::size_t i = 0; i < beat.size(); ++i) {
    auto corrupt = beat;
    corrupt[i] ^= 0x10;
    const auto arrived = network.tell(peer.address, corrupt, reply);
    CHECK(arrived.dropped);
    CHECK_FALSE(arrived.message);
  }
  auto good = beat, replay = beat;
  CHECK(network.tell(peer.address, good, reply).message);
  CHECK(network.tell(peer.address, replay, reply).dropped == DropReason::replay);
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint8_t> noise(random() % 1300);
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
    if (i % 2 == 0 && noise.size() > 4) noise[0] = 0xF5, noise[1] = 0xC2, noise[2] = 1;
    CHECK(network.tell(peer.address, noise, reply).dropped);
  }
  CHECK(network.sessions.confirmed().size() == 1);
}

TEST_CASE("Sessions: the address follows the newest datagram of a session", "[sessions]") {
  Network network;
  Peer peer(network, "10.0.0.2:4000", "one");
  peer.talk();
  const ServerId id = peer.joined()->joined->id;
  const auto beat = [&] {
    network.now += 1100ms;
    peer.link.tick({}, network.now);
    return peer.link.take_outgoing().at(0).datagram;
  };
  auto older = beat(), newer = beat();
  std::array<std::uint8_t, kMaxDatagram> reply{};
  const Address moved = *Address::parse("10.0.0.9:5000");
  network.tell(moved, newer, reply);
  CHECK(network.sessions.path(id).peer == moved);
  network.tell(peer.address, older, reply);
  CHECK(network.sessions.path(id).peer == moved);
}

TEST_CASE("Sessions: their number is bounded, and the unconfirmed go after a while", "[sessions]") {
  Network network({.allow = {Cidr::parse("10.0.0.0/8")}, .most = 3});
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(std::make_unique<Peer>(network, "10.0.0.2:" + std::to_string(4000 + i), "s" + std::to_string(i),
                                           static_cast<std::uint64_t>(i + 1)));
    peers.back()->talk();
  }
  CHECK_FALSE(peers[3]->connected);
  CHECK(network.sessions.dropped(DropReason::full) >= 1);
  CHECK(network.sessions.confirmed().size() == 3);
}
