#pragma once

#include <string>
#include <vector>

#include "transfer/codec.hpp"
#include "transfer/hex.hpp"
#include "transfer/sealing.hpp"

namespace farol::transfer::golden {

/// The worked examples of docs/TRANSFER.md. Plain and sealed bytes were made by another implementation
/// (test/integration/stranger_server.py, whose crypto is Python's).
struct Example {
  std::string name;
  Message message;
  std::uint32_t session = 0;
  std::uint32_t request = 0;
  std::uint64_t number = 0;
  Direction direction = Direction::server_to_gateway;
};

inline constexpr std::uint64_t kBootId = 0x0123456789abcdef, kSalt = 0xfedcba9876543210;
inline constexpr std::uint32_t kSession = 0x00000007;
inline const std::string kChunkText = "Farol\n";

inline std::vector<Example> examples() {
  constexpr auto up = Direction::server_to_gateway, down = Direction::gateway_to_server;
  Cookie cookie;
  Sha256 hash;
  for (std::size_t i = 0; i < 32; ++i) {
    cookie[i] = static_cast<std::uint8_t>(0xc0 + i);
    hash[i] = static_cast<std::uint8_t>(i);
  }
  const std::int64_t mtime = 1'600'000'000'123'456'789;
  const std::span<const std::uint8_t> text(reinterpret_cast<const std::uint8_t*>(kChunkText.data()), kChunkText.size());
  return {
      {"NEW_CONNECTION", NewConnection{cookie, kBootId, "server-1"}, 0, 0x11223344, 5, up},
      {"CHALLENGE", Challenge{cookie}, 0, 0x11223344, 9, down},
      {"ACCEPT", Accept{kSession, kSalt, 1000, 3000}, 0, 0x11223344, 10, down},
      {"HEARTBEAT", Heartbeat{1'000'000, 2, 64, 0}, kSession, 0, 0, up},
      {"HEARTBEAT_ACK", HeartbeatAck{1'000'000}, kSession, 0, 0, down},
      {"REQUEST_FILE",
       RequestFile{RequestMode::both, 1184, 0, 64, 0x8000000000000003, content_tag_of(hash), "a/b c.txt"}, kSession, 1,
       1, down},
      {"FILE_INFO", FileInfo{6, mtime, stat_tag_of(6, mtime), hash}, kSession, 1, 1, up},
      {"FILE_CHUNK", FileChunk{0, true, text}, kSession, 1, 2, up},
      {"FILE_NOT_FOUND_ERROR", FileNotFound{NotFoundReason::version_changed}, kSession, 2, 3, up},
      {"CANCEL", Cancel{3}, kSession, 1, 2, down},
      {"GOODBYE", Goodbye{}, kSession, 0, 4, up},
  };
}

inline DirectionKey key_of(const Example& example) {
  return example.session == 0 ? handshake_key(published_secret(), example.direction)
                              : session_key(published_secret(), example.direction, kBootId, kSalt);
}

/// The datagram, sealed.
inline std::vector<std::uint8_t> sealed(const Example& example) {
  std::vector<std::uint8_t> datagram(kMaxDatagram);
  datagram.resize(encode(example.message, example.session, example.request, datagram));
  Sealer sealer(key_of(example), example.number);
  sealer.seal(datagram);
  return datagram;
}

}  // namespace farol::transfer::golden
