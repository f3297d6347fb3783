#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace farol {

/// Bytes from the kernel's random source. Any thread; throws std::system_error where the kernel has none to give.
void fill_random(std::span<std::uint8_t> bytes);

/// 64 random bits: boot ids, salts, nonces.
std::uint64_t random_bits();

/// A secret of 256 bits.
std::array<std::uint8_t, 32> random_secret();

}  // namespace farol
