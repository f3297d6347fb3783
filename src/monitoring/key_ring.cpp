#include "monitoring/key_ring.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "common/error.hpp"
#include "common/secret_file.hpp"
#include "common/wire.hpp"

namespace farol::monitoring {
namespace {

using Key = KeyRing::Key;

constexpr std::string_view kToProxyLabel = "farol monitoring v1 agent->proxy";
constexpr std::string_view kToAgentLabel = "farol monitoring v1 proxy->agent";

struct FreeContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MAC_CTX, FreeContext>;

/// OpenSSL fails here only without memory or without its default provider.
void require(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot do HMAC-SHA-256");
}

/// A context that has taken `key` in.
Context keyed(std::span<const std::uint8_t> key) {
  static const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr),
                                                                      &EVP_MAC_free);
  require(hmac != nullptr);
  Context context(EVP_MAC_CTX_new(hmac.get()));
  char sha256[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                               OSSL_PARAM_construct_end()};
  require(context && EVP_MAC_init(context.get(), key.data(), key.size(), params) == 1);
  return context;
}

Key finish(const EVP_MAC_CTX& keyed_context, std::span<const std::uint8_t> data) {
  const Context context(EVP_MAC_CTX_dup(&keyed_context));
  Key digest{};
  std::size_t size = 0;
  require(context && EVP_MAC_update(context.get(), data.data(), data.size()) == 1 &&
          EVP_MAC_final(context.get(), digest.data(), &size, digest.size()) == 1 && size == digest.size());
  return digest;
}

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::shared_ptr<const EVP_MAC_CTX> sub_key(const EVP_MAC_CTX& master, std::string_view label) {
  Key key = finish(master, as_bytes(label));
  std::shared_ptr<const EVP_MAC_CTX> result = keyed(key);
  OPENSSL_cleanse(key.data(), key.size());
  return result;
}

template <typename T>
std::optional<T> number(std::string_view text, int base, T largest) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || stop != end || value > largest) return std::nullopt;
  return static_cast<T>(value);
}

std::optional<Key> parse_key(std::string_view hex) {
  Key key{};
  if (hex.size() != 2 * key.size()) return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto byte = number<std::uint8_t>(hex.substr(2 * i, 2), 16, 0xff);
    if (!byte) return std::nullopt;
    key[i] = *byte;
  }
  return key;
}

template <typename T>
T random_value() {
  T value{};
  check("getrandom", retry_eintr([&] { return ::getrandom(&value, sizeof value, 0); }));
  return value;
}

}  // namespace

KeyRing KeyRing::load(const std::string& path) {
  std::string text = read_secret_file(path, "key file");
  KeyRing ring = parse(text, path);
  OPENSSL_cleanse(text.data(), text.size());
  return ring;
}

KeyRing KeyRing::parse(const std::string& text, const std::string& name) {
  KeyRing ring;
  std::istringstream lines(text);
  std::string line;
  for (int at = 1; std::getline(lines, line); ++at) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string id_text, hex, more;
    if (!(words >> id_text)) continue;
    words >> hex >> more;
    const auto id = number<std::uint8_t>(id_text, 10, 255);
    const auto key = parse_key(hex);
    const std::string where = fmt::format("key file {} line {}: ", name, at);
    if (!id || !key || !more.empty()) throw StartError(where + "want '<id 0-255> <64 hex digits>'");
    if (ring.keys_.contains(*id))
      throw StartError(fmt::format("{}key id {} is there already (want another id)", where, *id));
    ring.add(*id, *key);
  }
  if (ring.empty()) throw StartError("key file " + name + " holds no key (want '<id 0-255> <64 hex digits>')");
  return ring;
}

void KeyRing::add(std::uint8_t id, const Key& key) {
  const Context master = keyed(key);
  if (empty()) signing_id_ = id;
  keys_.emplace(id, SubKeys{sub_key(*master, kToProxyLabel), sub_key(*master, kToAgentLabel)});
}

const EVP_MAC_CTX& KeyRing::SubKeys::of(Direction direction) const {
  return direction == Direction::agent_to_proxy ? *to_proxy : *to_agent;
}

void KeyRing::sign(PacketBytes& bytes, Direction direction) const {
  if (empty()) return;
  bytes[1] = signing_id_;
  const Key mac = finish(keys_.at(signing_id_).of(direction), std::span(bytes).first(kBodySize));
  std::copy_n(mac.begin(), kMacSize, bytes.begin() + kBodySize);
}

bool KeyRing::verify(std::span<const std::uint8_t, kPacketSize> bytes, Direction direction) const {
  const auto mac = bytes.last(kMacSize);
  if (empty()) return bytes[1] == 0 && std::all_of(mac.begin(), mac.end(), [](auto byte) { return byte == 0; });
  const auto found = keys_.find(bytes[1]);
  if (found == keys_.end()) return false;
  const Key right = finish(found->second.of(direction), bytes.first(kBodySize));
  return CRYPTO_memcmp(right.data(), mac.data(), kMacSize) == 0;
}

std::string KeyRing::generate_line(std::uint8_t id) {
  std::string line = fmt::format("{} ", id);
  for (const std::uint8_t byte : random_key()) line += fmt::format("{:02x}", byte);
  return line;
}

std::uint64_t random_u64() { return random_value<std::uint64_t>(); }

KeyRing::Key random_key() { return random_value<Key>(); }

std::uint64_t keyed_digest(const KeyRing::Key& secret, std::span<const std::uint8_t> data) {
  return WireReader(finish(*keyed(secret), data)).u64();
}

}  // namespace farol::monitoring
