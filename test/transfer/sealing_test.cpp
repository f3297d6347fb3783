#include "transfer/sealing.hpp"

#include <catch2/catch.hpp>

#include "transfer/hex.hpp"

using namespace farol::transfer;
using Bytes = std::vector<std::uint8_t>;

namespace {

const DirectionKey kKey = session_key(published_secret(), Direction::server_to_gateway, 1, 2);

Bytes sealed(Sealer& sealer, const Message& message) {
  Bytes bytes(kMaxDatagram);
  bytes.resize(encode(message, 1, 2, bytes));
  sealer.seal(bytes);
  return bytes;
}

std::variant<Opened, DropReason> open(Opener& opener, Bytes& bytes) {
  const auto header = decode_header(bytes);
  if (const auto* reason = std::get_if<DropReason>(&header)) return *reason;
  return opener.open(std::get<Header>(header), bytes);
}

bool opens(Opener& opener, Bytes bytes) {
  return std::holds_alternative<Opened>(open(opener, bytes));
}
bool fails(Opener& opener, Bytes bytes, DropReason reason) {
  const auto result = open(opener, bytes);
  const auto* got = std::get_if<DropReason>(&result);
  return got != nullptr && *got == reason;
}

}  // namespace

TEST_CASE("Sealing: keys are those of another implementation of HKDF", "[sealing]") {
  const auto text = [](const DirectionKey& key) { return test::hex(key.key) + test::hex(key.iv); };
  CHECK(text(handshake_key(published_secret(), Direction::server_to_gateway)) ==
        "d696938123a72c6c23879f7e2d1cd09fd84fd177caa1f7419ebd6034bcaf9e59d4a6fac6de48968bf15b5b3d");
  CHECK(text(handshake_key(published_secret(), Direction::gateway_to_server)) ==
        "477ccc670bd65750cf820d230ab464c622266adadcbe209abf383ce45b621917c3e7b095cd5ddff5412cd399");
  CHECK(text(session_key(published_secret(), Direction::server_to_gateway, 0x0123456789abcdef, 0xfedcba9876543210)) ==
        "e188ebf14479379d42a68d84d5e5164aef8389bad2be661dc7a801e63268afb0fbf1f191015404588c965087");
}

TEST_CASE("Sealing: AES-256-GCM, a datagram with the tag of NIST's algorithm", "[sealing]") {
  // The key of all zeros and the nonce 0 xor 1; made with another implementation.
  Sealer sealer({}, 1);
  CHECK(test::hex(sealed(sealer, Cancel{3})) ==
        "f5c2010a000000010000000000000001000000020008000029c12422f47667dfd79c3659ea6f3763fe4d7152ab663ddd");
}

TEST_CASE("Sealing: what was sealed opens once, in place", "[sealing]") {
  Sealer sealer(kKey);
  Opener opener(kKey);
  Bytes bytes = sealed(sealer, Cancel{0x1122334455667788});
  CHECK(test::hex(bytes).find("1122334455667788") == std::string::npos);
  const Bytes copy = bytes;
  const auto opened = open(opener, bytes);
  REQUIRE(std::holds_alternative<Opened>(opened));
  const auto& o = std::get<Opened>(opened);
  CHECK(o.newest);
  CHECK(test::hex(o.payload) == "1122334455667788");
  CHECK(fails(opener, copy, DropReason::replay));
}

TEST_CASE("Sealing: any changed bit is noticed, and does not use up the number", "[sealing]") {
  Sealer sealer(kKey);
  Opener opener(kKey);
  const Bytes good = sealed(sealer, Accept{1, 2, 1000, 3000});
  for (std::size_t at = 4; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<std::uint8_t>(1 << bit);
      CHECK_FALSE(opens(opener, bad));
    }
  }
  CHECK(opens(opener, good));
}

TEST_CASE("Sealing: the other direction's key, and another session's, open nothing", "[sealing]") {
  Sealer sealer(kKey);
  const Bytes bytes = sealed(sealer, Goodbye{});
  Opener reflected(session_key(published_secret(), Direction::gateway_to_server, 1, 2));
  Opener later(session_key(published_secret(), Direction::server_to_gateway, 1, 3));
  Opener reborn(session_key(published_secret(), Direction::server_to_gateway, 2, 2));
  Opener handshake(handshake_key(published_secret(), Direction::server_to_gateway), Opener::Replays::taken);
  for (auto* opener : {&reflected, &later, &reborn, &handshake}) CHECK(fails(*opener, bytes, DropReason::tag));
}

TEST_CASE("Sealing: a handshake's datagrams may come twice", "[sealing]") {
  const auto key = handshake_key(published_secret(), Direction::server_to_gateway);
  Sealer sealer(key, ~0ULL);
  Opener opener(key, Opener::Replays::taken);
  const Bytes bytes = sealed(sealer, NewConnection{{}, 1, "a"});
  CHECK(opens(opener, bytes));
  CHECK(opens(opener, bytes));
  CHECK(opens(opener, sealed(sealer, NewConnection{{}, 1, "a"})));  // number 0, behind the largest
}

TEST_CASE("Sealing: order is no matter within the window", "[sealing]") {
  Sealer sealer(kKey);
  Opener opener(kKey);
  std::vector<Bytes> datagrams;
  for (std::size_t i = 0; i <= ReplayWindow::kSize; ++i) datagrams.push_back(sealed(sealer, Goodbye{}));
  CHECK(opens(opener, datagrams.back()));
  CHECK(fails(opener, datagrams[0], DropReason::replay));  // too old to tell
  auto early = datagrams[1];
  const auto opened = open(opener, early);
  REQUIRE(std::holds_alternative<Opened>(opened));
  CHECK_FALSE(std::get<Opened>(opened).newest);
  CHECK(fails(opener, datagrams[1], DropReason::replay));
}

TEST_CASE("ReplayWindow: every number once, whatever the jumps", "[sealing]") {
  ReplayWindow window;
  const auto take = [&](std::uint64_t number) {
    if (!window.is_new(number)) return false;
    window.mark(number);
    return true;
  };
  CHECK(take(0));
  CHECK_FALSE(take(0));
  CHECK(take(5));
  CHECK(take(3));
  CHECK_FALSE(take(3));
  CHECK(take(4096));
  CHECK_FALSE(take(0));
  CHECK(take(1));
  CHECK(take(1ULL << 60));
  CHECK_FALSE(take(4097));
  CHECK(take((1ULL << 60) - 4095));
  CHECK_FALSE(take((1ULL << 60) - 4096));
  CHECK(take(~0ULL - 1));
  CHECK_FALSE(take(~0ULL));  // the counter has no number after it
  CHECK_FALSE(take(~0ULL - 1));
  CHECK(take(~0ULL - 2));
}
