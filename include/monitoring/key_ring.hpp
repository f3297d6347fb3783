#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "monitoring/packet.hpp"

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace farol::monitoring {

/// Which way a packet travels. Each direction signs with a sub-key of its own, so nothing can be reflected.
enum class Direction { agent_to_proxy, proxy_to_agent };

/// The keys of a deployment: the first signs, all verify (rotation). Without keys, packets carry zeros, and only those
/// are taken. Constant after construction; any thread may call.
///
/// MAC = the first 16 bytes of HMAC-SHA-256 (RFC 2104, FIPS 180-4; by OpenSSL) over bytes 0–47, key id included, with
/// sub-key = HMAC-SHA-256(key, "farol monitoring v1 agent->proxy") or "… proxy->agent".
class KeyRing {
 public:
  using Key = std::array<std::uint8_t, 32>;

  KeyRing() = default;
  /// Reads `<id 0–255> <64 hex digits>` lines; '#' comments and blank lines are skipped. Throws StartError naming file,
  /// line and what would be right; also when others than the owner may read it (mode & 077) or it holds no key.
  static KeyRing load(const std::string& path);
  /// The same on text that came from `name`.
  static KeyRing parse(const std::string& text, const std::string& name);

  [[nodiscard]] bool empty() const { return keys_.empty(); }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

  /// Sets the key id and the MAC. No-op without keys.
  void sign(PacketBytes& bytes, Direction direction) const;
  /// Constant-time comparison. Without keys: true when key id and MAC are all zero.
  [[nodiscard]] bool verify(std::span<const std::uint8_t, kPacketSize> bytes, Direction direction) const;

  /// A fresh line for a key file, without its newline, from the system's random source (proxyctl keygen).
  static std::string generate_line(std::uint8_t id);

 private:
  /// HMAC contexts that have taken their sub-key in; never updated, only duplicated, once per packet.
  struct SubKeys {
    std::shared_ptr<const evp_mac_ctx_st> to_proxy;
    std::shared_ptr<const evp_mac_ctx_st> to_agent;
    [[nodiscard]] const evp_mac_ctx_st& of(Direction direction) const;
  };
  void add(std::uint8_t id, const Key& key);

  std::map<std::uint8_t, SubKeys> keys_;
  std::uint8_t signing_id_ = 0;
};

/// 64 random bits from the kernel (nonces, boot ids).
std::uint64_t random_u64();

/// A keyed 64-bit digest, for stateless nonces: the first 8 bytes of HMAC-SHA-256(secret, data).
std::uint64_t keyed_digest(const KeyRing::Key& secret, std::span<const std::uint8_t> data);

/// A secret of 256 bits from the kernel.
KeyRing::Key random_key();

}  // namespace farol::monitoring
