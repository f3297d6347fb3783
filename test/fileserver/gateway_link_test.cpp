#include "fileserver/gateway_link.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace farol;
using namespace farol::fileserver;
using namespace farol::transfer;
using namespace std::chrono_literals;
using Change = GatewayLink::Change;

namespace {

const Address kFirst = Address::parse("[2001:db8::1]:80").value();
const Address kSecond = Address::parse("192.0.2.1:80").value();
const TimePoint kStart = TimePoint() + 1h;
constexpr std::uint64_t kSalt = 77;

/// A gateway by the book, and the network between: what it is not told about is lost.
struct Gateway {
  GatewayLink link{{"server-1", 42}, [random = std::mt19937_64(1)]() mutable { return random(); }};
  TimePoint now = kStart;
  Sealer handshake{handshake_key(published_secret(), Direction::gateway_to_server), 1000};
  Opener handshake_opener{handshake_key(published_secret(), Direction::server_to_gateway), Opener::Replays::taken};
  std::optional<Sealer> sealer;
  std::optional<Opener> opener;
  std::uint32_t session = 0;
  Accept terms{0, kSalt, 1000, 3000};

  struct Said {
    Header header;
    Message message;
    Address to;
    std::size_t size;
  };

  explicit Gateway(std::vector<Address> addresses = {kFirst}) { link.set_gateways(std::move(addresses), now); }

  /// What the server says now, in order.
  std::vector<Said> said() {
    link.tick({3, 4, 5}, now);
    std::vector<Said> all;
    for (auto& out : link.take_outgoing()) {
      const auto header = std::get<Header>(decode_header(out.datagram));
      Opener& its = header.session == 0 ? handshake_opener : opener.value();
      const auto opened = its.open(header, out.datagram);
      REQUIRE(std::holds_alternative<Opened>(opened));
      all.push_back({header, std::get<Message>(decode_payload(header, std::get<Opened>(opened).payload)), out.to,
                     out.datagram.size()});
    }
    return all;
  }
  std::vector<Said> said_at(Duration later) {
    now = kStart + later;
    return said();
  }

  std::vector<std::uint8_t> datagram(const Message& message, std::uint32_t request, std::uint32_t in_session = 0) {
    std::vector<std::uint8_t> bytes(kMaxDatagram);
    bytes.resize(encode(message, in_session, request, bytes));
    (in_session == 0 ? handshake : sealer.value()).seal(bytes);
    return bytes;
  }
  GatewayLink::Taken tell(const Message& message, std::uint32_t request = 0, const Address& from = kFirst) {
    const bool greeting = std::holds_alternative<Challenge>(message) || std::holds_alternative<Accept>(message);
    auto bytes = datagram(message, request, greeting ? 0 : session);
    return link.receive(bytes, from, now);
  }
  void accept(std::uint32_t request, const Address& from = kFirst, std::uint32_t id = 9) {
    session = id;
    terms.session = id;
    sealer.emplace(session_key(published_secret(), Direction::gateway_to_server, 42, kSalt));
    opener.emplace(session_key(published_secret(), Direction::server_to_gateway, 42, kSalt));
    tell(terms, request, from);
  }
  /// All the way in.
  void join(const Address& from = kFirst) {
    const auto first = said();
    REQUIRE_FALSE(first.empty());
    accept(first.back().header.request, from);
    REQUIRE(said().size() == 1);
    tell(HeartbeatAck{}, 0, from);
    REQUIRE(link.joined());
    REQUIRE(link.take_notices().size() == 1);
  }
};

bool dropped(const GatewayLink::Taken& taken, DropReason reason) {
  const auto* got = std::get_if<DropReason>(&taken);
  return got != nullptr && *got == reason;
}

bool taken_quietly(const GatewayLink::Taken& taken) {
  return std::holds_alternative<std::monostate>(taken);
}

}  // namespace

TEST_CASE("GatewayLink: joins by cookie, acceptance and a confirmed heartbeat", "[gateway_link]") {
  Gateway gateway;
  auto said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].to == kFirst);
  CHECK(said[0].size == kMaxDatagram);
  CHECK(said[0].message == Message{NewConnection{{}, 42, "server-1"}});
  const auto request = said[0].header.request;

  CHECK(taken_quietly(gateway.tell(Challenge{Cookie{1, 2, 3}}, request)));
  said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].message == Message{NewConnection{Cookie{1, 2, 3}, 42, "server-1"}});
  CHECK(said[0].header.request == request);
  CHECK(taken_quietly(gateway.tell(Challenge{Cookie{1, 2, 3}}, request)));  // duplicated on the way
  CHECK(gateway.said().empty());

  gateway.accept(request);
  CHECK_FALSE(gateway.link.joined());
  said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].header.session == 9);
  const auto beat = std::get<Heartbeat>(said[0].message);
  CHECK(beat.requests == 3);
  CHECK(beat.chunks == 4);
  CHECK(beat.drops == 5);

  CHECK(taken_quietly(gateway.tell(HeartbeatAck{beat.sent_us})));
  CHECK(gateway.link.joined());
  CHECK(gateway.link.session_id() == 9);
  CHECK(gateway.link.gateway() == kFirst);
  const auto notices = gateway.link.take_notices();
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].change == Change::connected);
  CHECK(gateway.link.joining_since() == kNever);
}

TEST_CASE("GatewayLink: everything is repeated until it is answered, more and more slowly", "[gateway_link]") {
  Gateway gateway;
  std::vector<std::int64_t> asked;
  for (int ms = 0; ms <= 4000; ms += 10)
    if (!gateway.said_at(std::chrono::milliseconds(ms)).empty()) asked.push_back(ms);
  CHECK(asked == std::vector<std::int64_t>{0, 250, 750, 1750, 2750, 3750});

  // The cookie is not forgotten when the second NEW_CONNECTION is lost.
  const auto request = gateway.said_at(4750ms).at(0).header.request;
  gateway.tell(Challenge{Cookie{7}}, request);
  CHECK(gateway.said().size() == 1);
  const auto again = gateway.said_at(5000ms);
  REQUIRE(again.size() == 1);
  CHECK(std::get<NewConnection>(again[0].message).cookie == Cookie{7});

  gateway.accept(request);
  CHECK(gateway.said().size() == 1);
  CHECK(gateway.said_at(5250ms).size() == 1);  // the heartbeat, not confirmed yet
  CHECK(gateway.said_at(5500ms).size() == 1);
}

TEST_CASE("GatewayLink: the next address is tried a moment later, and the first to accept wins", "[gateway_link]") {
  Gateway gateway({kFirst, kSecond});
  auto said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].to == kFirst);
  CHECK(gateway.link.next_due() == kStart + 250ms);
  said = gateway.said_at(250ms);
  REQUIRE(said.size() == 2);
  CHECK(said[1].to == kSecond);
  CHECK(said[0].header.request != said[1].header.request);

  CHECK(dropped(gateway.tell(Challenge{Cookie{1}}, said[1].header.request, kFirst), DropReason::source));
  gateway.accept(said[1].header.request, kSecond);
  CHECK(gateway.said().at(0).to == kSecond);
  CHECK(dropped(gateway.tell(Challenge{Cookie{1}}, said[0].header.request), DropReason::request));
  CHECK(dropped(gateway.tell(HeartbeatAck{}, 0, kFirst), DropReason::source));
  gateway.tell(HeartbeatAck{}, 0, kSecond);
  CHECK(gateway.link.joined());
}

TEST_CASE("GatewayLink: nothing is answered that did not come from the gateway it joined", "[gateway_link]") {
  Gateway gateway;
  const RequestFile request{RequestMode::stat, 0, 0, 0, 0, {}, "f"};
  std::vector<std::uint8_t> junk(50, 1);
  CHECK(dropped(gateway.link.receive(junk, kFirst, kStart), DropReason::version));
  CHECK(dropped(gateway.tell(Challenge{}, 12345), DropReason::request));
  auto alien = gateway.datagram(request, 1);
  CHECK(dropped(gateway.link.receive(alien, kFirst, kStart), DropReason::direction));  // in the handshake
  gateway.join();
  auto early = gateway.datagram(request, 1, 9);
  auto twice = early;
  auto forged = early;
  forged[kHeaderSize] ^= 1;
  CHECK(dropped(gateway.link.receive(early, kSecond, kStart), DropReason::source));
  CHECK(dropped(gateway.link.receive(forged, kFirst, kStart), DropReason::tag));
  early = twice;
  const auto question = gateway.link.receive(early, kFirst, kStart);
  REQUIRE(std::holds_alternative<GatewayLink::Question>(question));
  CHECK(std::get<GatewayLink::Question>(question).request == 1);
  CHECK(std::get<GatewayLink::Question>(question).message == Message{request});
  CHECK(dropped(gateway.link.receive(twice, kFirst, kStart), DropReason::replay));
  auto other = gateway.datagram(request, 1, 8);
  CHECK(dropped(gateway.link.receive(other, kFirst, kStart), DropReason::session));
  CHECK(dropped(gateway.tell(FileNotFound{}), DropReason::direction));
  CHECK(std::holds_alternative<GatewayLink::Question>(gateway.tell(Cancel{1}, 1)));
}

TEST_CASE("GatewayLink: an answer out of the pool confirms as well as the ACK that was lost", "[gateway_link]") {
  Gateway gateway;
  gateway.accept(gateway.said().at(0).header.request);
  CHECK(std::holds_alternative<GatewayLink::Question>(
      gateway.tell(RequestFile{RequestMode::stat, 0, 0, 0, 0, {}, "f"}, 1)));
  CHECK(gateway.link.joined());
}

TEST_CASE("GatewayLink: heartbeats, sooner when one was lost; then it joins again", "[gateway_link]") {
  Gateway gateway;
  gateway.join();
  gateway.said_at(250ms);
  gateway.tell(HeartbeatAck{});
  std::vector<std::int64_t> beats;
  TimePoint lost{};
  for (int ms = 251; ms <= 6000 && lost == TimePoint{}; ++ms) {
    for (const auto& said : gateway.said_at(std::chrono::milliseconds(ms))) {
      if (!std::holds_alternative<Heartbeat>(said.message)) continue;
      beats.push_back(ms);
      if (ms < 2000) gateway.tell(HeartbeatAck{});
    }
    for (const auto& notice : gateway.link.take_notices()) {
      CHECK(notice.change == Change::lost);
      lost = gateway.now;
    }
  }
  REQUIRE(beats.size() >= 4);
  CHECK(beats[1] - beats[0] <= 1000);
  CHECK(lost - kStart >= 3000ms);
  CHECK(lost - kStart <= 5000ms);
  CHECK(beats.back() - beats[beats.size() - 2] == 500);
  CHECK_FALSE(gateway.link.joined());
  CHECK(gateway.link.joining_since() == lost);
  gateway.now += GatewayLink::kFirstRetry;
  gateway.join();
}

TEST_CASE("GatewayLink: traffic counts as a sign of life", "[gateway_link]") {
  Gateway gateway;
  gateway.join();
  for (int s = 1; s < 20; ++s) {
    gateway.said_at(std::chrono::seconds(s));
    gateway.tell(RequestFile{RequestMode::stat, 0, 0, 0, 0, {}, "f"}, 1);
  }
  CHECK(gateway.link.joined());
}

TEST_CASE("GatewayLink: a gateway that accepts and is never heard of again is left", "[gateway_link]") {
  Gateway gateway;
  gateway.accept(gateway.said().at(0).header.request);
  gateway.said();
  gateway.said_at(3001ms);
  const auto notices = gateway.link.take_notices();
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].change == Change::refused);
  CHECK_FALSE(gateway.said_at(3002ms + 250ms).empty());
}

TEST_CASE("GatewayLink: a gateway that says goodbye is asked again at once", "[gateway_link]") {
  Gateway gateway;
  gateway.join();
  gateway.tell(Goodbye{});
  const auto notices = gateway.link.take_notices();
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].change == Change::left);
  const auto said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(std::holds_alternative<NewConnection>(said[0].message));
}

TEST_CASE("GatewayLink: leaving is told to the gateway, and only to it", "[gateway_link]") {
  Gateway gateway;
  gateway.join();
  gateway.link.leave();
  const auto said = gateway.said();
  REQUIRE(said.size() == 1);
  CHECK(said[0].message == Message{Goodbye{}});
  Gateway nobody;
  nobody.link.leave();
  CHECK(nobody.said().empty());
}

TEST_CASE("GatewayLink: random datagrams never crash it and never make it speak", "[gateway_link]") {
  Gateway gateway;
  gateway.join();
  std::mt19937_64 random(7);
  const auto good = gateway.datagram(RequestFile{RequestMode::stat, 0, 0, 0, 0, {}, "f"}, 1, 9);
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes)
      bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    if (random() % 4 == 0) bytes.resize(random() % 1400);
    if (bytes == good) continue;
    REQUIRE(std::holds_alternative<DropReason>(gateway.link.receive(bytes, kFirst, kStart)));
  }
  CHECK(gateway.link.take_outgoing().empty());
}
