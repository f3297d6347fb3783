#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace farol {

/// Writes big-endian integers into a caller's buffer. Running past the end is remembered, never done: check ok() once.
class WireWriter {
 public:
  explicit WireWriter(std::span<std::uint8_t> out) : out_(out) {}
  void u8(std::uint8_t v) { put(v, 1); }
  void u16(std::uint16_t v) { put(v, 2); }
  void u32(std::uint32_t v) { put(v, 4); }
  void u64(std::uint64_t v) { put(v, 8); }
  void bytes(std::span<const std::uint8_t> data) {
    if (!ok_ || out_.size() - at_ < data.size()) {
      ok_ = false;
      return;
    }
    std::copy(data.begin(), data.end(), out_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ += data.size();
  }
  [[nodiscard]] std::size_t size() const { return at_; }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  void put(std::uint64_t v, std::size_t bytes) {
    if (!ok_ || out_.size() - at_ < bytes) {
      ok_ = false;
      return;
    }
    for (std::size_t i = 0; i < bytes; ++i) out_[at_ + i] = static_cast<std::uint8_t>(v >> (8 * (bytes - 1 - i)));
    at_ += bytes;
  }

  std::span<std::uint8_t> out_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

/// Reads big-endian integers. A read past the end gives 0 and makes ok() false, for good: check it once, at the end.
class WireReader {
 public:
  explicit WireReader(std::span<const std::uint8_t> in) : in_(in) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(take(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(take(4)); }
  std::uint64_t u64() { return take(8); }
  /// A view of the next bytes; empty when there are not so many.
  std::span<const std::uint8_t> bytes(std::size_t size) {
    if (!ok_ || left() < size) {
      ok_ = false;
      return {};
    }
    at_ += size;
    return in_.subspan(at_ - size, size);
  }
  template <std::size_t Size>
  std::array<std::uint8_t, Size> array() {
    std::array<std::uint8_t, Size> result{};
    const auto data = bytes(Size);
    std::copy(data.begin(), data.end(), result.begin());
    return result;
  }
  [[nodiscard]] std::size_t left() const { return in_.size() - at_; }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::uint64_t take(std::size_t bytes) {
    if (!ok_ || left() < bytes) {
      ok_ = false;
      return 0;
    }
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < bytes; ++i) v = v << 8 | in_[at_ + i];
    at_ += bytes;
    return v;
  }

  std::span<const std::uint8_t> in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace farol
