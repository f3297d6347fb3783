#include "gateway/window.hpp"

#include <catch2/catch.hpp>

using namespace farol::gateway;

namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kFar = 1U << 30U;

std::vector<std::uint8_t> chunk(std::uint8_t value, std::size_t size = kChunkSize) {
  return std::vector<std::uint8_t>(size, value);
}

}  // namespace

TEST_CASE("Window: wants the chunks that its range touches", "[window]") {
  const Window window(kChunkSize * 2 + 5, kChunkSize * 4, kSegmentSize * 3);
  const auto part = window.first_wanted(kFar);
  REQUIRE(part);
  CHECK(part->segment == 0);
  CHECK(part->mask == 0b1100);
  CHECK_FALSE(Window(0, 0, 0).first_wanted(kFar));
  CHECK_FALSE(Window(5, 5, 10).first_wanted(kFar));
  CHECK(Window(0, 1, 1).first_wanted(kFar)->mask == 1);
}

TEST_CASE("Window: reaches as far ahead as it may", "[window]") {
  Window window(0, 10 * kSegmentSize, 10 * kSegmentSize);
  CHECK(window.last_wanted(2 * kSegmentSize)->segment == 1);
  CHECK(window.last_wanted(0)->segment == 0);  // the reader's own, always
  window.asked({0, kAll});
  CHECK(window.first_wanted(2 * kSegmentSize)->segment == 1);
  CHECK_FALSE(window.first_wanted(1));
  CHECK(window.distance(1) == kSegmentSize);
}

TEST_CASE("Window: what was asked twice is wanted again only when both gave up", "[window]") {
  Window window(0, kSegmentSize, kSegmentSize);
  window.asked({0, kAll});
  window.asked({0, 0b11});
  window.returned({0, 0b01});
  CHECK_FALSE(window.first_wanted(kFar));
  window.returned({0, 0b01});
  CHECK(window.first_wanted(kFar)->mask == 0b01);
}

TEST_CASE("Window: gives segments away in order, whole, with their bytes", "[window]") {
  Window window(10, kSegmentSize + 20, kSegmentSize + 20);
  window.asked({0, kAll});
  window.asked({1, 1});
  CHECK(window.store(kSegmentChunks, chunk(9, 20)) == Window::Stored::fresh);
  CHECK_FALSE(window.take());
  for (std::uint64_t i = 0; i < kSegmentChunks; ++i)
    CHECK(window.store(i, chunk(static_cast<std::uint8_t>(i))) == Window::Stored::fresh);
  auto first = window.take();
  REQUIRE(first);
  CHECK(first->offset == 10);
  CHECK(first->size == kSegmentSize - 10);
  CHECK(first->buffer[kChunkSize] == 1);
  window.recycle(std::move(first->buffer));
  CHECK(window.buffers() == 2);
  const auto last = window.take();
  REQUIRE(last);
  CHECK(last->size == 20);
  CHECK(last->buffer[19] == 9);
  CHECK(window.finished());
}

TEST_CASE("Window: takes no chunk twice, none it did not ask for, and none of the wrong size", "[window]") {
  Window window(0, kSegmentSize * 2, kSegmentSize * 2 - 1);
  CHECK(window.store(0, chunk(1)) == Window::Stored::duplicate);  // nobody asked: no buffer
  window.asked({0, 1});
  CHECK(window.store(0, chunk(1)) == Window::Stored::fresh);
  CHECK(window.store(0, chunk(2)) == Window::Stored::duplicate);
  CHECK(window.store(1, chunk(1, 5)) == Window::Stored::malformed);
  CHECK(window.store(2 * kSegmentChunks, chunk(1)) == Window::Stored::malformed);
  CHECK(window.store(kAll, chunk(1)) == Window::Stored::malformed);
  CHECK(window.store(kAll / kChunkSize, chunk(1)) == Window::Stored::malformed);
  window.asked({1, kAll});
  CHECK(window.store(2 * kSegmentChunks - 1, chunk(1)) == Window::Stored::malformed);  // the last one is shorter
  CHECK(window.store(2 * kSegmentChunks - 1, chunk(1, kChunkSize - 1)) == Window::Stored::fresh);
}
