#include "common/pipe.hpp"

#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "common/without_descriptors.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

TEST_CASE("PipePool: what comes back empty is lent again, what does not is closed", "[pipe]") {
  PipePool pool(2);
  auto pipe = pool.take();
  REQUIRE(pipe);
  CHECK(pipe->capacity >= 64 * kKiB);
  const int read_end = pipe->read_end.get();
  pool.give_back(std::move(*pipe));
  pipe = pool.take();
  CHECK(pipe->read_end.get() == read_end);
  const std::size_t open = open_descriptors();
  pipe->content = 1;
  pool.give_back(std::move(*pipe));
  CHECK(open_descriptors() == open - 2);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("PipePool: it lends no more than it may", "[pipe]") {
  PipePool pool(1);
  auto pipe = pool.take();
  REQUIRE(pipe);
  CHECK_FALSE(pool.take());
  pool.give_back(std::move(*pipe));
  CHECK(pool.take());
}

TEST_CASE("PipePool: without descriptors there is no pipe, and later there is one again", "[pipe]") {
  PipePool pool(2);
  {
    const WithoutDescriptors none;
    CHECK_FALSE(pool.take());
    CHECK(pool.in_use() == 0);
  }
  CHECK_FALSE(pool.take());  // the kernel is not asked for every buffer of a stream
  CHECK(eventually([&] { return pool.take().has_value(); }));
}

TEST_CASE("Pipe: its bytes can be copied out", "[pipe]") {
  PipePool pool(1);
  auto pipe = pool.take();
  REQUIRE(pipe);
  REQUIRE(::write(pipe->write_end.get(), "abcde", 5) == 5);
  pipe->content = 5;
  std::array<std::byte, 3> buffer{};
  const auto first = pipe->read(buffer);
  CHECK(std::memcmp(first.data(), "abc", first.size()) == 0);
  CHECK(first.size() == 3);
  CHECK(pipe->content == 2);
  CHECK(pipe->read(buffer).size() == 2);
  CHECK(pipe->content == 0);
  CHECK(pipe->read(buffer).empty());
}
