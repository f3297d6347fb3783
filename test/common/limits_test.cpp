#include "common/limits.hpp"

#include <catch2/catch.hpp>

using namespace farol;

TEST_CASE("limits: a connection costs two descriptors and its threads", "[limits]") {
  CHECK(connections_within({20'128, 1'000'000}, 2) == 10'000);
  CHECK(connections_within({1'000'000, 32'256}, 2) == 16'000);
  CHECK(connections_within({1'000'128, 0}, 0) == 500'000);  // a reactor needs no thread for it
}

TEST_CASE("limits: one connection always fits", "[limits]") {
  CHECK(connections_within({0, 0}, 2) == 1);
  CHECK(connections_within({128, 256}, 2) == 1);
}

TEST_CASE("limits: this process has some", "[limits]") {
  const ProcessLimits limits = raise_and_read_limits();
  CHECK(limits.descriptors > 0);
  CHECK(limits.threads > 0);
}
