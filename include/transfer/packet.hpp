#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace farol::transfer {

/// The file protocol's messages (report 000, chapter 3; byte tables in docs/TRANSFER.md). Values without addresses,
/// time or keys: those belong to TransferSocket and to Sealer and Opener.
///
/// A datagram is header (24 bytes, in the clear but authenticated) | payload (encrypted) | tag (16 bytes).

inline constexpr std::size_t kHeaderSize = 24, kTagSize = 16;
inline constexpr std::size_t kOverhead = kHeaderSize + kTagSize;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kMaxDatagram = 1232;  ///< UDP payload that IPv6's least MTU (1280) carries whole
inline constexpr std::size_t kMaxPayload = kMaxDatagram - kOverhead;
inline constexpr std::size_t kMaxChunk = kMaxPayload - 8;  ///< file bytes in one FileChunk: 1184
inline constexpr std::size_t kMinChunk = 64;
inline constexpr unsigned kMaskChunks = 64;  ///< chunks that one RequestFile can ask for
inline constexpr std::size_t kMaxPath = 1024, kMaxName = 64;

/// Server → gateway where nothing else is said. Numbers on the wire; 11 and 12 are kept for probing the path MTU.
enum class PacketType : std::uint8_t {
  new_connection = 1,
  challenge = 2,  ///< gateway → server
  accept = 3,     ///< gateway → server
  heartbeat = 4,
  heartbeat_ack = 5,  ///< gateway → server
  request_file = 6,   ///< gateway → server
  file_info = 7,
  file_chunk = 8,
  file_not_found = 9,  ///< the report's FILE_NOT_FOUND_ERROR
  cancel = 10,         ///< gateway → server
  goodbye = 13,        ///< both ways
};
std::string_view to_string(PacketType type);

using Cookie = std::array<std::uint8_t, 32>;      ///< a gateway's stateless proof that an address is real
using VersionTag = std::array<std::uint8_t, 16>;  ///< which content; all zero: any
using Sha256 = std::array<std::uint8_t, 32>;

/// "I serve files." Padded to the size of the largest datagram, so that only paths that carry those ever join, and so
/// that no answer is larger. Sent with a zero cookie first, then with the one of the Challenge.
struct NewConnection {
  Cookie cookie{};
  std::uint64_t boot_id = 0;  ///< drawn at random by each start of the server
  std::string name;           ///< valid_name()
  bool operator==(const NewConnection&) const = default;
};

struct Challenge {
  Cookie cookie{};
  bool operator==(const Challenge&) const = default;
};

/// The session is open: what follows carries its id and is sealed with its keys. In the pool once a Heartbeat came.
struct Accept {
  std::uint32_t session = 0;       ///< never 0
  std::uint64_t salt = 0;          ///< drawn at random for each session; with the boot id it makes the keys differ
  std::uint32_t heartbeat_ms = 0;  ///< at least 100
  std::uint32_t silence_ms = 0;    ///< without a word for so long, join again; above heartbeat_ms, at most 600 000
  bool operator==(const Accept&) const = default;
};

struct Heartbeat {
  std::uint64_t sent_us = 0;   ///< the server's own monotonic clock; comes back in the HeartbeatAck
  std::uint64_t requests = 0;  ///< answered since the server's start
  std::uint64_t chunks = 0;    ///< sent since then
  std::uint32_t drops = 0;     ///< datagrams that its socket had no room for
  bool operator==(const Heartbeat&) const = default;
};

struct HeartbeatAck {
  std::uint64_t sent_us = 0;
  bool operator==(const HeartbeatAck&) const = default;
};

enum class RequestMode : std::uint8_t {
  stat = 1,  ///< FileInfo
  both = 2,  ///< FileInfo, then the chunks
  data = 3,  ///< the chunks
};

/// Answered by FileInfo, FileChunk or FileNotFound with the same request id. Chunk i of the mask is the file's bytes
/// from (first_chunk + i) * chunk_size; chunks behind the end are not answered.
struct RequestFile {
  RequestMode mode = RequestMode::stat;
  std::uint16_t chunk_size = 0;   ///< kMinChunk to kMaxChunk; 0 for `stat`
  std::uint32_t pace_us = 0;      ///< least time between two bursts of this session; 0: at once
  std::uint64_t first_chunk = 0;  ///< 0 for `stat`
  std::uint64_t mask = 0;         ///< 0 for `stat` only
  VersionTag tag{};               ///< the stat or the content tag that the server's file must still have
  std::string path;               ///< valid_path()
  bool operator==(const RequestFile&) const = default;
};

struct FileInfo {
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;      ///< since 1970
  VersionTag stat_tag{};          ///< stat_tag_of(size, mtime_ns)
  std::optional<Sha256> content;  ///< of the whole file, once the server knows it
  bool operator==(const FileInfo&) const = default;
};

struct FileChunk {
  std::uint64_t chunk = 0;
  bool last = false;                   ///< the file ends with it (the report's hasNext, inverted)
  std::span<const std::uint8_t> data;  ///< never empty; a view of the datagram it was decoded from
  bool operator==(const FileChunk& other) const {
    return chunk == other.chunk && last == other.last && std::ranges::equal(data, other.data);
  }
};

enum class NotFoundReason : std::uint16_t {
  not_found = 1,
  forbidden = 2,        ///< no permission, or a path that leads out of the root
  not_regular = 3,      ///< a directory, device, FIFO or socket
  version_changed = 4,  ///< the file is there, but has not the tag asked for
  io_error = 5,
  busy = 6,  ///< try again later, or another server
  bad_request = 7,
};
std::string_view to_string(NotFoundReason reason);

struct FileNotFound {
  NotFoundReason reason = NotFoundReason::not_found;
  bool operator==(const FileNotFound&) const = default;
};
/// These chunks of the request are not wanted any more. A hint.
struct Cancel {
  std::uint64_t mask = 0;
  bool operator==(const Cancel&) const = default;
};
/// The sender stops; there is no answer.
struct Goodbye {
  bool operator==(const Goodbye&) const = default;
};

using Message = std::variant<NewConnection, Challenge, Accept, Heartbeat, HeartbeatAck, RequestFile, FileInfo,
                             FileChunk, FileNotFound, Cancel, Goodbye>;
PacketType type_of(const Message& message);

}  // namespace farol::transfer
