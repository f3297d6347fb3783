#include "transfer/codec.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <limits>

#include "common/wire.hpp"

namespace farol::transfer {
namespace {

constexpr std::uint16_t kMagic = 0xf5c2;
constexpr std::uint16_t kLastFlag = 1;
constexpr std::uint32_t kShortestHeartbeatMs = 100, kLongestSilenceMs = 600'000;
constexpr std::string_view kStatTagLabel = "farol stat tag v1";

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_known(PacketType type) {
  return (type >= PacketType::new_connection && type <= PacketType::cancel) || type == PacketType::goodbye;
}

bool is_known(NotFoundReason reason) {
  return reason >= NotFoundReason::not_found && reason <= NotFoundReason::bad_request;
}

/// Every byte of the chunks asked for has an offset that a file can have.
bool fits_a_file(std::uint64_t first_chunk, std::uint16_t chunk_size) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  return first_chunk <= kLargest / chunk_size - kMaskChunks;
}

// What makes a message one that may be sent and taken, beyond the layout.
bool in_range(const NewConnection& m) {
  return valid_name(m.name);
}
bool in_range(const Accept& m) {
  return m.session != 0 && m.heartbeat_ms >= kShortestHeartbeatMs && m.silence_ms > m.heartbeat_ms &&
         m.silence_ms <= kLongestSilenceMs;
}
bool in_range(const RequestFile& m) {
  if (!valid_path(m.path)) return false;
  if (m.mode == RequestMode::stat) return m.chunk_size == 0 && m.first_chunk == 0 && m.mask == 0;
  if (m.mode != RequestMode::both && m.mode != RequestMode::data) return false;
  return m.chunk_size >= kMinChunk && m.chunk_size <= kMaxChunk && m.mask != 0 &&
         fits_a_file(m.first_chunk, m.chunk_size);
}
bool in_range(const FileInfo& m) {
  return m.size <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) && m.stat_tag != VersionTag{};
}
bool in_range(const FileChunk& m) {
  return !m.data.empty() && m.data.size() <= kMaxChunk;
}
bool in_range(const FileNotFound& m) {
  return is_known(m.reason);
}
template <typename Anything>
bool in_range(const Anything&) {
  return true;
}

void put(WireWriter& out, const NewConnection& m) {
  out.bytes(m.cookie);
  out.u64(m.boot_id);
  out.u8(static_cast<std::uint8_t>(m.name.size()));
  out.bytes(as_bytes(m.name));
  static constexpr std::array<std::uint8_t, kMaxPayload> kPadding{};
  out.bytes(std::span(kPadding).first(kMaxPayload - std::min(kMaxPayload, out.size())));
}
void put(WireWriter& out, const Challenge& m) {
  out.bytes(m.cookie);
}
void put(WireWriter& out, const Accept& m) {
  out.u32(m.session);
  out.u64(m.salt);
  out.u32(m.heartbeat_ms);
  out.u32(m.silence_ms);
}
void put(WireWriter& out, const Heartbeat& m) {
  out.u64(m.sent_us);
  out.u64(m.requests);
  out.u64(m.chunks);
  out.u32(m.drops);
}
void put(WireWriter& out, const HeartbeatAck& m) {
  out.u64(m.sent_us);
}
void put(WireWriter& out, const RequestFile& m) {
  out.u8(static_cast<std::uint8_t>(m.mode));
  out.u8(0);
  out.u16(m.chunk_size);
  out.u32(m.pace_us);
  out.u64(m.first_chunk);
  out.u64(m.mask);
  out.bytes(m.tag);
  out.u16(static_cast<std::uint16_t>(m.path.size()));
  out.bytes(as_bytes(m.path));
}
void put(WireWriter& out, const FileInfo& m) {
  out.u64(m.size);
  out.u64(static_cast<std::uint64_t>(m.mtime_ns));
  out.bytes(m.stat_tag);
  out.u8(m.content ? 1 : 0);
  out.bytes(m.content.value_or(Sha256{}));
}
void put(WireWriter& out, const FileChunk& m) {
  out.u64(m.chunk);
  out.bytes(m.data);
}
void put(WireWriter& out, const FileNotFound& m) {
  out.u16(static_cast<std::uint16_t>(m.reason));
}
void put(WireWriter& out, const Cancel& m) {
  out.u64(m.mask);
}
void put(WireWriter&, const Goodbye&) {}

NewConnection get_new_connection(WireReader& in) {
  NewConnection m;
  m.cookie = in.array<32>();
  m.boot_id = in.u64();
  m.name = as_text(in.bytes(in.u8()));
  in.bytes(in.left());  // padding: room for what later versions say
  return m;
}
Accept get_accept(WireReader& in) {
  Accept m;
  m.session = in.u32();
  m.salt = in.u64();
  m.heartbeat_ms = in.u32();
  m.silence_ms = in.u32();
  return m;
}
Heartbeat get_heartbeat(WireReader& in) {
  Heartbeat m;
  m.sent_us = in.u64();
  m.requests = in.u64();
  m.chunks = in.u64();
  m.drops = in.u32();
  return m;
}
std::optional<RequestFile> get_request_file(WireReader& in) {
  RequestFile m;
  m.mode = static_cast<RequestMode>(in.u8());
  const bool reserved_zero = in.u8() == 0;
  m.chunk_size = in.u16();
  m.pace_us = in.u32();
  m.first_chunk = in.u64();
  m.mask = in.u64();
  m.tag = in.array<16>();
  m.path = as_text(in.bytes(in.u16()));
  if (!reserved_zero) return std::nullopt;
  return m;
}
std::optional<FileInfo> get_file_info(WireReader& in) {
  FileInfo m;
  m.size = in.u64();
  m.mtime_ns = static_cast<std::int64_t>(in.u64());
  m.stat_tag = in.array<16>();
  const std::uint8_t known = in.u8();
  const auto content = in.array<32>();
  if (known == 1) m.content = content;
  if (known > 1 || (known == 0 && content != Sha256{})) return std::nullopt;
  return m;
}
FileChunk get_file_chunk(WireReader& in, bool last) {
  FileChunk m;
  m.chunk = in.u64();
  m.last = last;
  m.data = in.bytes(in.left());
  return m;
}

std::optional<Message> get(const Header& header, WireReader& in) {
  switch (header.type) {
    case PacketType::new_connection:
      return get_new_connection(in);
    case PacketType::challenge:
      return Challenge{in.array<32>()};
    case PacketType::accept:
      return get_accept(in);
    case PacketType::heartbeat:
      return get_heartbeat(in);
    case PacketType::heartbeat_ack:
      return HeartbeatAck{in.u64()};
    case PacketType::request_file:
      return get_request_file(in);
    case PacketType::file_info:
      return get_file_info(in);
    case PacketType::file_chunk:
      return get_file_chunk(in, header.last);
    case PacketType::file_not_found:
      return FileNotFound{static_cast<NotFoundReason>(in.u16())};
    case PacketType::cancel:
      return Cancel{in.u64()};
    case PacketType::goodbye:
      return Goodbye{};
  }
  return std::nullopt;
}

void put_header(WireWriter& out, const Header& h) {
  out.u16(kMagic);
  out.u8(kVersion);
  out.u8(static_cast<std::uint8_t>(h.type));
  out.u32(h.session);
  out.u64(h.number);
  out.u32(h.request);
  out.u16(h.payload);
  out.u16(h.last ? kLastFlag : 0);
}

}  // namespace

std::string_view to_string(DropReason reason) {
  static constexpr std::array<std::string_view, kDropReasons> kNames = {
      "size",    "version", "type",   "tag",     "malformed",   "replay", "direction",
      "session", "source",  "cookie", "request", "not_allowed", "full"};
  return kNames.at(static_cast<std::size_t>(reason));
}

std::size_t encode(const Message& message, std::uint32_t session, std::uint32_t request, std::span<std::uint8_t> out) {
  if (out.size() < kOverhead) return 0;
  if (!std::visit([](const auto& m) { return in_range(m); }, message)) return 0;
  WireWriter payload(out.subspan(kHeaderSize, std::min(kMaxPayload, out.size() - kOverhead)));
  std::visit([&](const auto& m) { put(payload, m); }, message);
  if (!payload.ok()) return 0;
  const auto* chunk = std::get_if<FileChunk>(&message);
  WireWriter header(out.first(kHeaderSize));
  put_header(header, {type_of(message), session, 0, request, static_cast<std::uint16_t>(payload.size()),
                      chunk != nullptr && chunk->last});
  return kOverhead + payload.size();
}

std::size_t encode_chunk_around(std::uint64_t chunk, bool last, std::size_t data_size, std::uint32_t session,
                                std::uint32_t request, std::span<std::uint8_t> out) {
  WireWriter head(out.first(kChunkDataAt));
  put_header(head, {PacketType::file_chunk, session, 0, request, static_cast<std::uint16_t>(8 + data_size), last});
  head.u64(chunk);
  return kOverhead + 8 + data_size;
}

std::variant<Header, DropReason> decode_header(std::span<const std::uint8_t> datagram) {
  if (datagram.size() < kOverhead || datagram.size() > kMaxDatagram) return DropReason::size;
  WireReader in(datagram);
  if (in.u16() != kMagic || in.u8() != kVersion) return DropReason::version;
  Header h;
  h.type = static_cast<PacketType>(in.u8());
  h.session = in.u32();
  h.number = in.u64();
  h.request = in.u32();
  h.payload = in.u16();
  const std::uint16_t flags = in.u16();
  h.last = (flags & kLastFlag) != 0;
  if (!is_known(h.type)) return DropReason::type;
  if (datagram.size() != kOverhead + h.payload) return DropReason::size;
  if (flags > kLastFlag || (h.last && h.type != PacketType::file_chunk)) return DropReason::malformed;
  return h;
}

std::variant<Message, DropReason> decode_payload(const Header& header, std::span<const std::uint8_t> payload) {
  if (header.type == PacketType::new_connection && payload.size() != kMaxPayload) return DropReason::malformed;
  WireReader in(payload);
  std::optional<Message> message = get(header, in);
  if (!message || !in.ok() || in.left() != 0) return DropReason::malformed;
  if (!std::visit([](const auto& m) { return in_range(m); }, *message)) return DropReason::malformed;
  return *std::move(message);
}

bool valid_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath) return false;
  if (!std::all_of(path.begin(), path.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f && c != '\\'; }))
    return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view component = path.substr(at, end - at);
    if (component.empty() || component == "." || component == "..") return false;
    at = end + 1;
  }
  return true;
}

bool valid_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= kMaxName && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

VersionTag stat_tag_of(std::uint64_t size, std::int64_t mtime_ns) {
  std::array<std::uint8_t, kStatTagLabel.size() + 16> said{};
  WireWriter out(said);
  out.bytes(as_bytes(kStatTagLabel));
  out.u64(size);
  out.u64(static_cast<std::uint64_t>(mtime_ns));
  Sha256 digest{};
  SHA256(said.data(), said.size(), digest.data());
  return content_tag_of(digest);
}

VersionTag content_tag_of(const Sha256& content) {
  VersionTag tag{};
  std::copy_n(content.begin(), tag.size(), tag.begin());
  return tag;
}

bool same_version(const FileInfo& a, const FileInfo& b) {
  if (a.size != b.size) return false;
  return a.content && b.content ? *a.content == *b.content : a.stat_tag == b.stat_tag;
}

VersionTag tag_of(const FileInfo& info) {
  return info.content ? content_tag_of(*info.content) : info.stat_tag;
}

std::uint64_t chunks_of(std::uint64_t size, std::size_t chunk_size) {
  return size / chunk_size + (size % chunk_size != 0 ? 1 : 0);
}

}  // namespace farol::transfer
