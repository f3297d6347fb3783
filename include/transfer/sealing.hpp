#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "transfer/codec.hpp"

struct evp_cipher_ctx_st;  // OpenSSL's EVP_CIPHER_CTX

namespace farol::transfer {

/// AES-256-GCM (FIPS 197, SP 800-38D; by OpenSSL) over every datagram: the header is authenticated, the payload
/// encrypted as well. The nonce is the direction's IV with its last eight bytes XORed with the packet number (as RFC
/// 9001, 5.3), so a number must never be used twice with one key: numbers count up, and each session has keys of its
/// own.

enum class Direction { server_to_gateway, gateway_to_server };

struct DirectionKey {
  std::array<std::uint8_t, 32> key{};
  std::array<std::uint8_t, 12> iv{};
};

/// Where keys come from. Without a key file that is a published constant, as QUIC's Initial secret is: what is damaged
/// on the way is noticed, and strangers who do not read the traffic cannot forge a session's datagrams, since they know
/// neither boot id nor salt; nobody is authenticated. A handshake that agrees on a secret replaces only this one.
std::span<const std::uint8_t> published_secret();

/// HKDF-SHA-256 (RFC 5869, empty salt) with the info "farol file protocol v1 server->gateway" (or "… gateway->server"),
/// followed by boot id and salt in a session and by nothing in the handshake.
DirectionKey handshake_key(std::span<const std::uint8_t> secret, Direction direction);
DirectionKey session_key(std::span<const std::uint8_t> secret, Direction direction, std::uint64_t boot_id,
                         std::uint64_t salt);

struct FreeCipher {
  void operator()(evp_cipher_ctx_st* context) const;
};
using CipherContext = std::unique_ptr<evp_cipher_ctx_st, FreeCipher>;

/// Seals the datagrams of one direction of one session. Not thread-safe.
class Sealer {
 public:
  /// Handshakes start at a random number: their key is everybody's and has no memory.
  explicit Sealer(const DirectionKey& key, std::uint64_t first_number = 0);

  /// Gives a datagram that encode() has made its number, encrypts its payload in place and writes the tag.
  void seal(std::span<std::uint8_t> datagram);
  [[nodiscard]] std::uint64_t next_number() const { return next_; }

 private:
  CipherContext context_;
  std::array<std::uint8_t, 12> iv_;
  std::uint64_t next_;
};

/// Which of the newest packet numbers have been seen (RFC 6479's idea). Not thread-safe.
class ReplayWindow {
 public:
  static constexpr std::size_t kSize = 4096;  ///< more than a session ever has in flight

  [[nodiscard]] bool is_new(std::uint64_t number) const;
  /// REQUIRES: is_new(number).
  void mark(std::uint64_t number);
  /// One above the highest number seen.
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  static constexpr std::uint64_t kLargest = ~std::uint64_t{0};

  std::bitset<kSize> seen_;
  std::uint64_t end_ = 0;
};

/// A datagram that was what it claimed to be.
struct Opened {
  Header header;
  std::span<const std::uint8_t> payload;  ///< in the datagram, decrypted in place
  bool newest = false;                    ///< no later number was seen before: a peer's address may follow it
};

/// Verifies and decrypts the datagrams of one direction of one session. Not thread-safe.
class Opener {
 public:
  enum class Replays { dropped, taken };  ///< taken: in the handshake, whose messages may be repeated harmlessly

  explicit Opener(const DirectionKey& key, Replays replays = Replays::dropped);

  /// Decrypts in place; the bytes are garbage when it is dropped for its tag. A number counts as seen only when the tag
  /// is right, so that forgeries cannot close the window.
  std::variant<Opened, DropReason> open(const Header& header, std::span<std::uint8_t> datagram);

 private:
  CipherContext context_;
  std::array<std::uint8_t, 12> iv_;
  const Replays replays_;
  ReplayWindow window_;
};

}  // namespace farol::transfer
