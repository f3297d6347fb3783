#include "common/wire.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace farol;

TEST_CASE("wire: integers are big-endian", "[wire]") {
  std::array<std::uint8_t, 15> bytes{};
  WireWriter out(bytes);
  out.u8(0x01);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090a0b0c0d0e0f);
  CHECK(out.ok());
  CHECK(out.size() == 15);
  for (std::size_t i = 0; i < bytes.size(); ++i) CHECK(bytes[i] == i + 1);

  WireReader in(bytes);
  CHECK(in.u8() == 0x01);
  CHECK(in.u16() == 0x0203);
  CHECK(in.u32() == 0x04050607);
  CHECK(in.left() == 8);
  CHECK(in.u64() == 0x08090a0b0c0d0e0f);
  CHECK(in.ok());
  CHECK(in.left() == 0);
}

TEST_CASE("wire: nothing is written past the end, and that is remembered", "[wire]") {
  std::array<std::uint8_t, 4> bytes{9, 9, 9, 9};
  WireWriter out{std::span(bytes).first(3)};
  out.u16(0x0102);
  out.u16(0x0304);
  CHECK_FALSE(out.ok());
  CHECK(out.size() == 2);
  out.u8(5);  // there would be room
  CHECK_FALSE(out.ok());
  CHECK(bytes == std::array<std::uint8_t, 4>{1, 2, 9, 9});
}

TEST_CASE("wire: a read past the end gives 0, and that is remembered", "[wire]") {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  WireReader in(bytes);
  CHECK(in.u16() == 0x0102);
  CHECK(in.u16() == 0);
  CHECK_FALSE(in.ok());
  CHECK(in.u8() == 0);  // there would be one
  CHECK_FALSE(in.ok());
}
