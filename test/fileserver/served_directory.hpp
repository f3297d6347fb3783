#pragma once

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "transfer/packet.hpp"

namespace farol::fileserver::test {

/// A directory of its own, removed at the end. Files are dated an hour back unless told otherwise: a file that was just
/// written has no content tag yet.
class ServedDirectory {
 public:
  ServedDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "farol-unit-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ServedDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ServedDirectory(const ServedDirectory&) = delete;
  ServedDirectory& operator=(const ServedDirectory&) = delete;

  [[nodiscard]] std::string root() const { return path_.string(); }
  [[nodiscard]] std::filesystem::path at(const std::string& name) const { return path_ / name; }

  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(at(name).parent_path());
    std::ofstream(at(name), std::ios::binary) << content;
  }
  void set_mtime(const std::string& name, std::int64_t ns) const {
    const timespec times[] = {{0, UTIME_OMIT}, {ns / 1'000'000'000, ns % 1'000'000'000}};
    REQUIRE(::utimensat(AT_FDCWD, at(name).c_str(), times, 0) == 0);
  }

 private:
  std::filesystem::path path_;
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

}  // namespace farol::fileserver::test
