#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

namespace farol::monitoring {

/// The monitoring protocol's four messages (report 001, chapter 3.3; byte tables in docs/PROTOCOL.md). Values without
/// addresses, time or authentication: those belong to MonitoringSocket and KeyRing.

inline constexpr std::size_t kPacketSize = 64;  ///< every packet, so that no answer is larger than its question
inline constexpr std::size_t kMacSize = 16;
inline constexpr std::size_t kBodySize = kPacketSize - kMacSize;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::uint16_t kDefaultPort = 5555;

using PacketBytes = std::array<std::uint8_t, kPacketSize>;

/// Who an agent says it stands for. Believed only when a ProbeResponse echoes it.
struct Service {
  std::uint16_t port = 80;    ///< TCP port of the service on the agent's host
  std::uint32_t pool = 0;     ///< pool_id() of the pool's name
  std::uint64_t boot_id = 0;  ///< drawn at random by each start of the agent
  bool operator==(const Service&) const = default;
};

/// What an agent measures. Shares are 1/100 % (0 to 10000).
struct Load {
  std::uint16_t cpu = 0;
  std::uint16_t memory = 0;
  std::uint32_t tcp_machine = 0;  ///< established connections of the whole machine (the report's count)
  std::uint32_t tcp_service = 0;  ///< those whose local port is the service port
  bool operator==(const Load&) const = default;
};

/// Registo: agent → proxy, "I am here". A hint, never a proof.
struct Register {
  Service service;
  std::uint32_t interval_ms = 0;
  bool operator==(const Register&) const = default;
};

/// Probe request: proxy → agent.
struct ProbeRequest {
  std::uint32_t sequence = 0;
  std::uint64_t nonce = 0;
  bool leaving = false;  ///< this proxy stops: register every second until probed again
  bool operator==(const ProbeRequest&) const = default;
};

/// Probe response: agent → proxy, with the request's sequence and nonce.
struct ProbeResponse {
  Service service;
  std::uint32_t sequence = 0;
  std::uint64_t nonce = 0;
  Load load;
  bool listening = false;  ///< something on the agent's host listens on the service port
  bool draining = false;   ///< the agent's operator wants no new connections
  bool operator==(const ProbeResponse&) const = default;
};

/// Deregister (ours): agent → proxy on TERM, with the nonce of the last ProbeRequest.
struct Deregister {
  Service service;
  std::uint64_t nonce = 0;
  bool operator==(const Deregister&) const = default;
};

using Packet = std::variant<Register, ProbeRequest, ProbeResponse, Deregister>;

/// Type numbers on the wire; the alternatives of Packet in their order, from 1.
enum class PacketType : std::uint8_t { register_ = 1, probe_request = 2, probe_response = 3, deregister = 4 };

/// Why bytes are not a packet, or a packet is not taken: the counters' labels.
enum class DropReason {
  size,         ///< not 64 bytes
  version,      ///< another protocol version
  type,         ///< unknown type
  malformed,    ///< a field out of range, or a reserved byte that is not zero
  mac,          ///< not signed by a key we hold (or signed, while we hold none)
  direction,    ///< a type that this end never takes
  not_allowed,  ///< source outside --allow
  nonce,        ///< not the answer to a probe of ours
  late,         ///< an answer after its time-out: already counted as lost
  loop,         ///< the back-end would be one of the proxy's own listeners
  conflict,     ///< a second live agent for an identity that has one
  alias,        ///< an agent already known by another address
  unknown,      ///< about a back-end or proxy that is not known here
  table_full,   ///< no room for another back-end
};
inline constexpr std::size_t kDropReasons = 14;
std::string_view to_string(DropReason reason);

/// The 64 bytes with a zero key id and MAC. Pure.
PacketBytes encode(const Packet& packet);

/// Exact: 64 bytes, version 1, reserved bytes zero, shares at most 10000. Ignores key id and MAC (bytes 1 and 48–63).
/// Never throws, whatever the bytes. Pure.
std::variant<Packet, DropReason> decode(std::span<const std::uint8_t> bytes);

/// The id of a pool: the first four bytes, big-endian, of SHA-256 over its name in UTF-8.
std::uint32_t pool_id(std::string_view name);
inline constexpr std::string_view kDefaultPool = "default";

}  // namespace farol::monitoring
