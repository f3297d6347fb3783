#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "monitoring/key_ring.hpp"
#include "monitoring/packet.hpp"

namespace farol::monitoring::golden {

/// The worked examples of docs/PROTOCOL.md, made by another implementation (Python's hmac and struct).
struct Example {
  std::string name;
  Packet packet;
  std::string unsigned_hex;
  std::string signed_hex;  ///< with kKeyLine
};

inline const std::string kKeyLine = "7 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

inline std::string zeros(std::size_t bytes) { return std::string(2 * bytes, '0'); }

inline std::vector<Example> examples() {
  const Service service{80, 0x37a8eec1, 0x0123456789abcdef};
  const std::uint64_t nonce = 0xfedcba9876543210;
  const std::string identity = "0123456789abcdef37a8eec1";
  const std::string ask = "00000003fedcba9876543210";
  const std::string measured = "06a422c40000002a0000000701000000";
  const std::string leave = "00000000fedcba9876543210";
  return {
      {"Register", Register{service, 20000},  //
       "09000050" + zeros(12) + identity + "00004e20" + zeros(32),
       "09070050" + zeros(12) + identity + "00004e20" + zeros(16) + "66f183be8eac1a7af0ee5aea16700e5d"},
      {"ProbeRequest", ProbeRequest{3, nonce, false},  //
       "0a000000" + ask + zeros(48),                   //
       "0a070000" + ask + zeros(32) + "5ca4ce635df0c839bea5c221ab0702ba"},
      {"ProbeResponse", ProbeResponse{service, 3, nonce, {1700, 8900, 42, 7}, true, false},
       "0b000050" + ask + identity + zeros(4) + measured + zeros(16),
       "0b070050" + ask + identity + zeros(4) + measured + "bc5658d680f8ea1c381f0abb3756a6c9"},
      {"Deregister", Deregister{service, nonce},  //
       "0c000050" + leave + identity + zeros(36),
       "0c070050" + leave + identity + zeros(20) + "3831382af1d9bd3af550fa642367e456"},
  };
}

inline std::string hex(const PacketBytes& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

/// REQUIRES: 128 hex digits.
inline PacketBytes bytes(const std::string& text) {
  PacketBytes result{};
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  return result;
}

/// The direction that a type travels in.
inline Direction direction_of(const Packet& packet) {
  return std::holds_alternative<ProbeRequest>(packet) ? Direction::proxy_to_agent : Direction::agent_to_proxy;
}

inline Direction other(Direction direction) {
  return direction == Direction::proxy_to_agent ? Direction::agent_to_proxy : Direction::proxy_to_agent;
}

}  // namespace farol::monitoring::golden
