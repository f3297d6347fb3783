#pragma once

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>

#include "common/temporary_directory.hpp"
#include "transfer/packet.hpp"

namespace farol::test {

/// Files are dated an hour back unless told otherwise: a file that was just written has no content tag yet.
class ServedDirectory : public TemporaryDirectory {
 public:
  void set_mtime(const std::string& name, std::int64_t ns) const {
    const timespec times[] = {{0, UTIME_OMIT}, {ns / 1'000'000'000, ns % 1'000'000'000}};
    REQUIRE(::utimensat(AT_FDCWD, at(name).c_str(), times, 0) == 0);
  }
};

inline std::string random_text(std::size_t size, std::uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

inline transfer::Sha256 sha256(const std::string& text) {
  transfer::Sha256 digest{};
  SHA256(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), digest.data());
  return digest;
}

}  // namespace farol::test
