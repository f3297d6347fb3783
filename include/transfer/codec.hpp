#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "transfer/packet.hpp"

namespace farol::transfer {

/// Messages to bytes and back (byte tables in docs/TRANSFER.md). Pure; never throws, whatever the bytes.

/// The first 24 bytes of every datagram. They travel in the clear, but the tag covers them.
struct Header {
  PacketType type{};
  std::uint32_t session = 0;  ///< 0 during the handshake
  std::uint64_t number = 0;   ///< of this datagram, in its session and direction: never used twice
  std::uint32_t request = 0;  ///< the id that ties an answer to its question
  std::uint16_t payload = 0;  ///< bytes between header and tag
  bool last = false;          ///< flag of a FileChunk
  bool operator==(const Header&) const = default;
};

/// Why bytes are not a message, or a message is not taken: the counters' labels.
enum class DropReason {
  size,         ///< shorter than a header and a tag, longer than a datagram, or not as long as the header says
  version,      ///< another magic number or protocol version
  type,         ///< unknown type
  tag,          ///< corrupt, or sealed with another key
  malformed,    ///< a field out of range, or a reserved one that is not zero
  replay,       ///< this packet number was seen, or is too old to tell
  direction,    ///< a type that this end never takes
  session,      ///< no such session
  source,       ///< not from the peer it should come from
  cookie,       ///< a NewConnection whose cookie is not ours, or has expired
  request,      ///< the answer to no question, or to one that is over
  not_allowed,  ///< a source outside the allowed ranges
  full,         ///< no room for another server
};
inline constexpr std::size_t kDropReasons = 13;
std::string_view to_string(DropReason reason);

/// Writes header and payload and leaves room for the tag; packet number and tag are the Sealer's to fill in. Returns
/// the datagram's size; 0 when `out` is too small or a field is out of range. kMaxDatagram bytes are always enough.
std::size_t encode(const Message& message, std::uint32_t session, std::uint32_t request, std::span<std::uint8_t> out);

/// Writes the header and the chunk number of a FileChunk whose `data_size` bytes the caller puts behind them, at
/// kChunkDataAt: files are read straight into datagrams. Returns the datagram's size.
/// REQUIRES: 1 <= data_size <= kMaxChunk, room for that datagram in `out`.
std::size_t encode_chunk_around(std::uint64_t chunk, bool last, std::size_t data_size, std::uint32_t session,
                                std::uint32_t request, std::span<std::uint8_t> out);
inline constexpr std::size_t kChunkDataAt = kHeaderSize + 8;

/// Sizes, version, type and flags; nothing is authenticated yet.
std::variant<Header, DropReason> decode_header(std::span<const std::uint8_t> datagram);

/// The message of a payload that an Opener has verified and decrypted. Exact: every field within its range, nothing
/// left over (a NewConnection's padding apart, which is ignored).
std::variant<Message, DropReason> decode_payload(const Header& header, std::span<const std::uint8_t> payload);

/// What a file's path may be, checked on both ends: relative, 1 to kMaxPath bytes, its components neither empty nor "."
/// nor "..", no backslash, no control byte. Any other byte goes: file names are bytes.
bool valid_path(std::string_view path);
/// What a server may call itself: 1 to kMaxName of letters, digits, '.', '_' and '-'.
bool valid_name(std::string_view name);

/// The tag of a file whose content nobody has hashed: the first 16 bytes of SHA-256 over
/// "farol stat tag v1", size (u64) and mtime (i64 nanoseconds), big-endian.
VersionTag stat_tag_of(std::uint64_t size, std::int64_t mtime_ns);
/// The first 16 bytes of the content's SHA-256.
VersionTag content_tag_of(const Sha256& content);

/// Whether two servers hold the same version, as far as both know: by content when both know it, else by stat tag.
bool same_version(const FileInfo& a, const FileInfo& b);
/// What to ask this server's file for: its content tag if known, else its stat tag.
VersionTag tag_of(const FileInfo& info);
/// How many chunks of that size the file has.
std::uint64_t chunks_of(std::uint64_t size, std::size_t chunk_size);

}  // namespace farol::transfer
