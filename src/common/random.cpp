#include "common/random.hpp"

#include <sys/random.h>

#include "common/error.hpp"
#include "common/wire.hpp"

namespace farol {

void fill_random(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto got = check("getrandom", retry_eintr([&] { return ::getrandom(bytes.data(), bytes.size(), 0); }));
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::uint64_t random_bits() {
  std::array<std::uint8_t, 8> bytes;
  fill_random(bytes);
  return WireReader(bytes).u64();
}

std::array<std::uint8_t, 32> random_secret() {
  std::array<std::uint8_t, 32> secret;
  fill_random(secret);
  return secret;
}

}  // namespace farol
