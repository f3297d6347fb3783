#include "proxy/challenge.hpp"

#include <catch2/catch.hpp>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

TEST_CASE("Challenge: the same question in a slot, valid in it and the next", "[challenge]") {
  const Challenge challenge;
  const Address source = at("10.0.0.1:5555");
  const TimePoint slot_start{Challenge::kSlot * 1000};
  const std::uint64_t nonce = challenge.nonce(source, slot_start);
  CHECK(challenge.nonce(source, slot_start + 7999ms) == nonce);
  CHECK(challenge.nonce(source, slot_start + 8s) != nonce);
  CHECK(challenge.valid(nonce, source, slot_start));
  CHECK(challenge.valid(nonce, source, slot_start + 15999ms));
  CHECK_FALSE(challenge.valid(nonce, source, slot_start + 16s));
  CHECK_FALSE(challenge.valid(nonce, source, slot_start - 1ms));
  CHECK_FALSE(challenge.valid(nonce + 1, source, slot_start));
  CHECK_FALSE(challenge.valid(0, source, slot_start));
}

TEST_CASE("Challenge: belongs to one source", "[challenge]") {
  const Challenge challenge;
  const std::uint64_t nonce = challenge.nonce(at("10.0.0.1:5555"), kStart);
  CHECK_FALSE(challenge.valid(nonce, at("10.0.0.1:5556"), kStart));
  CHECK_FALSE(challenge.valid(nonce, at("10.0.0.2:5555"), kStart));
  // An IPv6 address whose first bytes are those of the IPv4 one.
  CHECK_FALSE(challenge.valid(nonce, at("[a00:1::]:5555"), kStart));
}

TEST_CASE("Challenge: a secret of its own for each proxy", "[challenge]") {
  const Challenge one, other;
  CHECK_FALSE(other.valid(one.nonce(at("10.0.0.1:5555"), kStart), at("10.0.0.1:5555"), kStart));
}
