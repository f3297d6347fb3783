#include "transfer/sealing.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "common/wire.hpp"

namespace farol::transfer {
namespace {

constexpr std::string_view kPublishedSecret = "farol file protocol v1, a key for everybody";
constexpr std::size_t kNumberAt = 8;  // in the header

/// OpenSSL fails here only without memory or without its default provider.
void require(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot do AES-256-GCM or HKDF-SHA-256");
}

using Nonce = std::array<std::uint8_t, 12>;

Nonce nonce_of(const Nonce& iv, std::uint64_t number) {
  Nonce nonce = iv;
  for (std::size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<std::uint8_t>(number >> (8 * i));
  return nonce;
}

/// A context that has expanded `key` for one way of use. Later only the IV changes: fetching the cipher and expanding
/// the key cost more than a datagram.
CipherContext context_for(const DirectionKey& key, bool encrypt) {
  static const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> gcm(
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr), &EVP_CIPHER_free);
  CipherContext context(EVP_CIPHER_CTX_new());
  require(gcm && context &&
          EVP_CipherInit_ex2(context.get(), gcm.get(), key.key.data(), nullptr, encrypt ? 1 : 0, nullptr) == 1);
  return context;
}

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

DirectionKey derive(std::span<const std::uint8_t> secret, Direction direction, std::span<const std::uint8_t> context) {
  const auto label = as_bytes(direction == Direction::server_to_gateway ? "farol file protocol v1 server->gateway"
                                                                        : "farol file protocol v1 gateway->server");
  std::vector<std::uint8_t> info(label.begin(), label.end());
  info.insert(info.end(), context.begin(), context.end());
  std::vector<std::uint8_t> ikm(secret.begin(), secret.end());
  char sha256[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm.data(), ikm.size()),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
                               OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> hkdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), &EVP_KDF_free);
  require(hkdf != nullptr);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> kdf(EVP_KDF_CTX_new(hkdf.get()), &EVP_KDF_CTX_free);
  std::array<std::uint8_t, 44> made{};
  require(kdf && EVP_KDF_derive(kdf.get(), made.data(), made.size(), params) == 1);
  DirectionKey result;
  std::copy_n(made.begin(), result.key.size(), result.key.begin());
  std::copy_n(made.begin() + 32, result.iv.size(), result.iv.begin());
  return result;
}

}  // namespace

void FreeCipher::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

std::span<const std::uint8_t> published_secret() {
  return as_bytes(kPublishedSecret);
}

DirectionKey handshake_key(std::span<const std::uint8_t> secret, Direction direction) {
  return derive(secret, direction, {});
}

DirectionKey session_key(std::span<const std::uint8_t> secret, Direction direction, std::uint64_t boot_id,
                         std::uint64_t salt) {
  std::array<std::uint8_t, 16> context{};
  WireWriter out(context);
  out.u64(boot_id);
  out.u64(salt);
  return derive(secret, direction, context);
}

Sealer::Sealer(const DirectionKey& key, std::uint64_t first_number)
    : context_(context_for(key, true)), iv_(key.iv), next_(first_number) {}

void Sealer::seal(std::span<std::uint8_t> datagram) {
  const std::uint64_t number = next_++;
  WireWriter out(datagram.subspan(kNumberAt, 8));
  out.u64(number);
  const Nonce nonce = nonce_of(iv_, number);
  const auto payload = datagram.subspan(kHeaderSize, datagram.size() - kOverhead);
  int written = 0;
  require(EVP_EncryptInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), nullptr) == 1 &&
          EVP_EncryptUpdate(context_.get(), nullptr, &written, datagram.data(), kHeaderSize) == 1 &&
          EVP_EncryptUpdate(context_.get(), payload.data(), &written, payload.data(),
                            static_cast<int>(payload.size())) == 1 &&
          EVP_EncryptFinal_ex(context_.get(), payload.data() + payload.size(), &written) == 1 &&
          EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, datagram.last(kTagSize).data()) == 1);
}

bool ReplayWindow::is_new(std::uint64_t number) const {
  if (number >= end_) return number != kLargest;  // so that end_ never wraps around
  return end_ - number <= kSize && !seen_[number % kSize];
}

void ReplayWindow::mark(std::uint64_t number) {
  if (number >= end_) {
    if (number - end_ >= kSize) {
      seen_.reset();
    } else {
      for (std::uint64_t skipped = end_; skipped < number; ++skipped) seen_.reset(skipped % kSize);
    }
    end_ = number + 1;
  }
  seen_.set(number % kSize);
}

Opener::Opener(const DirectionKey& key, Replays replays)
    : context_(context_for(key, false)), iv_(key.iv), replays_(replays) {}

std::variant<Opened, DropReason> Opener::open(const Header& header, std::span<std::uint8_t> datagram) {
  if (replays_ == Replays::dropped && !window_.is_new(header.number)) return DropReason::replay;
  const Nonce nonce = nonce_of(iv_, header.number);
  const auto payload = datagram.subspan(kHeaderSize, datagram.size() - kOverhead);
  int written = 0;
  require(EVP_DecryptInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), nullptr) == 1 &&
          EVP_DecryptUpdate(context_.get(), nullptr, &written, datagram.data(), kHeaderSize) == 1 &&
          EVP_DecryptUpdate(context_.get(), payload.data(), &written, payload.data(),
                            static_cast<int>(payload.size())) == 1 &&
          EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, datagram.last(kTagSize).data()) == 1);
  if (EVP_DecryptFinal_ex(context_.get(), payload.data() + payload.size(), &written) != 1) return DropReason::tag;
  if (replays_ == Replays::taken) return Opened{header, payload, false};
  const bool newest = header.number >= window_.end();
  window_.mark(header.number);
  return Opened{header, payload, newest};
}

}  // namespace farol::transfer
