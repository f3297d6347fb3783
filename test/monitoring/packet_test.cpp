#include "monitoring/packet.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "monitoring/golden.hpp"

using namespace farol::monitoring;

namespace {

/// Decodes to this reason, not to a packet.
bool refused(std::span<const std::uint8_t> bytes, DropReason reason) {
  const auto result = decode(bytes);
  const auto* got = std::get_if<DropReason>(&result);
  return got != nullptr && *got == reason;
}

PacketBytes changed(const Packet& packet, std::size_t at, std::uint8_t value) {
  PacketBytes bytes = encode(packet);
  bytes.at(at) = value;
  return bytes;
}

}  // namespace

TEST_CASE("Packet: the specification's examples are the golden bytes", "[packet]") {
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    CHECK(golden::hex(encode(example.packet)) == example.unsigned_hex);
    for (const auto& text : {example.unsigned_hex, example.signed_hex}) {
      const auto decoded = decode(golden::bytes(text));
      REQUIRE(std::holds_alternative<Packet>(decoded));
      CHECK(std::get<Packet>(decoded) == example.packet);
    }
  }
}

TEST_CASE("Packet: all ones and limits travel unchanged", "[packet]") {
  const Service service{65535, 0xffffffff, 0xffffffffffffffff};
  const std::vector<Packet> packets = {
      Register{service, 86'400'000},
      Register{{1, 0, 0}, 1},
      ProbeRequest{0xffffffff, 0xffffffffffffffff, true},
      ProbeRequest{},
      ProbeResponse{service, 0xffffffff, 0xffffffffffffffff, {10000, 10000, 0xffffffff, 0xffffffff}, true, true},
      ProbeResponse{{1, 0, 0}, 0, 0, {}, false, true},
      Deregister{service, 0xffffffffffffffff},
  };
  for (const auto& packet : packets) {
    const auto decoded = decode(encode(packet));
    REQUIRE(std::holds_alternative<Packet>(decoded));
    CHECK(std::get<Packet>(decoded) == packet);
  }
}

TEST_CASE("Packet: any other size is refused", "[packet]") {
  for (const auto& example : golden::examples()) {
    const PacketBytes whole = encode(example.packet);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK(refused(std::span(whole).first(size), DropReason::size));
    }
    for (const std::size_t size : {65U, 66U, 128U, 1500U, 65507U}) {
      std::vector<std::uint8_t> longer(size);
      std::copy(whole.begin(), whole.end(), longer.begin());
      CHECK(refused(longer, DropReason::size));
    }
  }
}

TEST_CASE("Packet: other versions and types are refused", "[packet]") {
  for (int head = 0; head < 256; ++head) {
    const auto bytes = changed(ProbeRequest{1, 2, false}, 0, static_cast<std::uint8_t>(head));
    const int type = head & 7;
    INFO("first byte " << head);
    if (head >> 3 != kVersion) {
      CHECK(refused(bytes, DropReason::version));
    } else if (type < 1 || type > 4) {
      CHECK(refused(bytes, DropReason::type));
    } else {
      CHECK(std::holds_alternative<Packet>(decode(bytes)) == (type == 2));  // the others want a service port
    }
  }
}

TEST_CASE("Packet: what a type does not use must be zero", "[packet]") {
  const std::vector<std::pair<Packet, std::vector<std::pair<std::size_t, std::size_t>>>> unused = {
      {Register{{80, 1, 2}, 1000}, {{4, 16}, {32, 48}}},
      {ProbeRequest{1, 2, false}, {{2, 4}, {16, 44}, {45, 48}}},
      {ProbeResponse{{80, 1, 2}, 1, 2, {}, true, false}, {{28, 32}, {45, 48}}},
      {Deregister{{80, 1, 2}, 3}, {{4, 8}, {28, 48}}},
  };
  for (const auto& [packet, ranges] : unused) {
    for (const auto& [from, to] : ranges) {
      for (std::size_t at = from; at < to; ++at) {
        for (const int value : {1, 0x80, 0xff}) {
          INFO("type " << packet.index() + 1 << " byte " << at << " value " << value);
          CHECK(refused(changed(packet, at, static_cast<std::uint8_t>(value)), DropReason::malformed));
        }
      }
    }
  }
}

TEST_CASE("Packet: unknown flags are refused", "[packet]") {
  const Packet request = ProbeRequest{1, 2, false};
  const Packet response = ProbeResponse{{80, 1, 2}, 1, 2, {}, false, false};
  for (int flags = 0; flags < 256; ++flags) {
    const auto value = static_cast<std::uint8_t>(flags);
    CHECK(refused(changed(request, 44, value), DropReason::malformed) == (flags > 1));
    CHECK(refused(changed(response, 44, value), DropReason::malformed) == (flags > 3));
  }
}

TEST_CASE("Packet: fields out of range are refused", "[packet]") {
  const auto refuses = [](const Packet& packet) { return refused(encode(packet), DropReason::malformed); };
  CHECK(refuses(Register{{0, 1, 2}, 1000}));
  CHECK(refuses(Register{{80, 1, 2}, 0}));
  CHECK(refuses(Register{{80, 1, 2}, 86'400'001}));
  CHECK(refuses(Deregister{{0, 1, 2}, 3}));
  CHECK(refuses(ProbeResponse{{0, 1, 2}, 1, 2, {}, true, false}));
  CHECK(refuses(ProbeResponse{{80, 1, 2}, 1, 2, {10001, 0, 0, 0}, true, false}));
  CHECK(refuses(ProbeResponse{{80, 1, 2}, 1, 2, {0, 10001, 0, 0}, true, false}));
  CHECK_FALSE(refuses(ProbeResponse{{80, 1, 2}, 1, 2, {10000, 10000, 0, 0}, true, false}));
}

TEST_CASE("Packet: random bytes decode to a reason, or to what encodes to the same bytes", "[packet]") {
  std::mt19937_64 random(20240607);
  std::set<DropReason> seen;
  for (int round = 0; round < 100'000; ++round) {
    std::vector<std::uint8_t> bytes(round % 4 == 0 ? random() % 200 : kPacketSize);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (round % 4 != 1 && bytes.size() >= 48) {  // get past the first checks
      bytes[0] = static_cast<std::uint8_t>(kVersion << 3 | random() % 8);
      if (round % 4 == 3) std::fill(bytes.begin() + 28, bytes.begin() + 48, std::uint8_t{0});
    }
    const auto result = decode(bytes);
    if (const auto* reason = std::get_if<DropReason>(&result)) {
      seen.insert(*reason);
      continue;
    }
    const PacketBytes again = encode(std::get<Packet>(result));
    REQUIRE(again[0] == bytes[0]);
    REQUIRE(std::equal(again.begin() + 2, again.begin() + kBodySize, bytes.begin() + 2));
  }
  CHECK(seen == std::set{DropReason::size, DropReason::version, DropReason::type, DropReason::malformed});
}

TEST_CASE("Packet: pool ids are the start of SHA-256 over the name", "[packet]") {
  CHECK(pool_id(kDefaultPool) == 0x37a8eec1);
  CHECK(pool_id("web") == 0x4b5e57f6);
  CHECK(pool_id("mar\xc3\xa9") == 0x962e8fa4);
  CHECK(pool_id("") == 0xe3b0c442);
}

TEST_CASE("Packet: every drop reason has a name of its own", "[packet]") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropReasons; ++i) names.insert(to_string(static_cast<DropReason>(i)));
  CHECK(names.size() == kDropReasons);
  CHECK(to_string(DropReason::size) == "size");
  CHECK(to_string(DropReason::not_allowed) == "not_allowed");
  CHECK(to_string(DropReason::table_full) == "table_full");
}
