#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace farol::transfer::test {

inline std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

/// REQUIRES: an even number of hex digits.
inline std::vector<std::uint8_t> bytes(const std::string& text) {
  std::vector<std::uint8_t> result;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2)
    result.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
  return result;
}

}  // namespace farol::transfer::test
