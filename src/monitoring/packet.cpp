#include "monitoring/packet.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "common/wire.hpp"

namespace farol::monitoring {
namespace {

constexpr std::uint16_t kWholeShare = 10000;
constexpr std::uint32_t kLongestIntervalMs = 24 * 3600 * 1000;
constexpr std::uint8_t kListening = 1, kDraining = 2;  // flags of a ProbeResponse
constexpr std::uint8_t kLeaving = 1;                   // flag of a ProbeRequest

/// Every field of the one layout, in its order; what a type does not use stays zero.
struct Fields {
  std::uint8_t head = 0;
  std::uint16_t port = 0;
  std::uint32_t sequence = 0;
  std::uint64_t nonce = 0;
  std::uint64_t boot_id = 0;
  std::uint32_t pool = 0;
  std::uint32_t interval_ms = 0;
  Load load;
  std::uint8_t flags = 0;

  Fields() = default;
  explicit Fields(PacketType type) : head(static_cast<std::uint8_t>(kVersion << 3 | static_cast<int>(type))) {}
  Fields(PacketType type, const Service& s) : Fields(type) { port = s.port, pool = s.pool, boot_id = s.boot_id; }
  [[nodiscard]] Service service() const { return {port, pool, boot_id}; }
};

Fields fields_of(const Register& p) {
  Fields f(PacketType::register_, p.service);
  f.interval_ms = p.interval_ms;
  return f;
}

Fields fields_of(const ProbeRequest& p) {
  Fields f(PacketType::probe_request);
  f.sequence = p.sequence;
  f.nonce = p.nonce;
  f.flags = p.leaving ? kLeaving : 0;
  return f;
}

Fields fields_of(const ProbeResponse& p) {
  Fields f(PacketType::probe_response, p.service);
  f.sequence = p.sequence;
  f.nonce = p.nonce;
  f.load = p.load;
  f.flags = static_cast<std::uint8_t>((p.listening ? kListening : 0) | (p.draining ? kDraining : 0));
  return f;
}

Fields fields_of(const Deregister& p) {
  Fields f(PacketType::deregister, p.service);
  f.nonce = p.nonce;
  return f;
}

Packet packet_of(const Fields& f) {
  switch (static_cast<PacketType>(f.head & 7)) {
    case PacketType::register_:
      return Register{f.service(), f.interval_ms};
    case PacketType::probe_request:
      return ProbeRequest{f.sequence, f.nonce, (f.flags & kLeaving) != 0};
    case PacketType::probe_response:
      return ProbeResponse{
          f.service(), f.sequence, f.nonce, f.load, (f.flags & kListening) != 0, (f.flags & kDraining) != 0};
    case PacketType::deregister:
      break;
  }
  return Deregister{f.service(), f.nonce};
}

Fields read(std::span<const std::uint8_t> bytes) {
  WireReader in(bytes);
  Fields f;
  f.head = in.u8();
  in.u8();  // key id: KeyRing's
  f.port = in.u16();
  f.sequence = in.u32();
  f.nonce = in.u64();
  f.boot_id = in.u64();
  f.pool = in.u32();
  f.interval_ms = in.u32();
  f.load.cpu = in.u16();
  f.load.memory = in.u16();
  f.load.tcp_machine = in.u32();
  f.load.tcp_service = in.u32();
  f.flags = in.u8();
  return f;
}

bool in_range(const Fields& f) {
  const auto type = static_cast<PacketType>(f.head & 7);
  if (type != PacketType::probe_request && f.port == 0) return false;
  if (type == PacketType::register_ && (f.interval_ms == 0 || f.interval_ms > kLongestIntervalMs)) return false;
  return f.load.cpu <= kWholeShare && f.load.memory <= kWholeShare;
}

}  // namespace

std::string_view to_string(DropReason reason) {
  static constexpr std::array<std::string_view, kDropReasons> kNames = {
      "size",  "version", "type", "malformed", "mac",   "direction", "not_allowed",
      "nonce", "late",    "loop", "conflict",  "alias", "unknown",   "table_full"};
  return kNames.at(static_cast<std::size_t>(reason));
}

PacketBytes encode(const Packet& packet) {
  const Fields f = std::visit([](const auto& p) { return fields_of(p); }, packet);
  PacketBytes bytes{};
  WireWriter out(bytes);
  out.u8(f.head);
  out.u8(0);  // key id: KeyRing's
  out.u16(f.port);
  out.u32(f.sequence);
  out.u64(f.nonce);
  out.u64(f.boot_id);
  out.u32(f.pool);
  out.u32(f.interval_ms);
  out.u16(f.load.cpu);
  out.u16(f.load.memory);
  out.u32(f.load.tcp_machine);
  out.u32(f.load.tcp_service);
  out.u8(f.flags);
  return bytes;
}

std::variant<Packet, DropReason> decode(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != kPacketSize) return DropReason::size;
  if (bytes[0] >> 3 != kVersion) return DropReason::version;
  const int type = bytes[0] & 7;
  if (type < static_cast<int>(PacketType::register_) || type > static_cast<int>(PacketType::deregister))
    return DropReason::type;
  const Fields fields = read(bytes);
  if (!in_range(fields)) return DropReason::malformed;
  const Packet packet = packet_of(fields);
  // What a packet does not say must be zero: then, and only then, encoding it again gives the same bytes.
  const PacketBytes again = encode(packet);
  if (!std::equal(again.begin() + 2, again.begin() + kBodySize, bytes.begin() + 2)) return DropReason::malformed;
  return packet;
}

std::uint32_t pool_id(std::string_view name) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const std::uint8_t*>(name.data()), name.size(), digest.data());
  return WireReader(digest).u32();
}

}  // namespace farol::monitoring
