#include "gateway/pool.hpp"

#include <catch2/catch.hpp>

#include "gateway/negative_cache.hpp"

using namespace farol;
using namespace farol::gateway;
using namespace std::chrono_literals;

namespace {

const Address kAddress = *Address::parse("127.0.0.1:9");
const TimePoint kStart{1h};

}  // namespace

TEST_CASE("Pool: silence makes a server suspect, then down, then forgotten", "[pool]") {
  Pool pool({});
  pool.add(kStart, 1, "one", kAddress);
  CHECK(pool.next_deadline() == kStart + 3s);
  CHECK(pool.advance(kStart + 2999ms).empty());
  CHECK(pool.any_up());
  const auto suspect = pool.advance(kStart + 3s);
  REQUIRE(suspect.size() == 1);
  CHECK(suspect[0].state == ServerState::suspect);
  CHECK_FALSE(pool.any_up());
  CHECK(pool.next_deadline() == kStart + 5s);
  CHECK(pool.advance(kStart + 5s).at(0).state == ServerState::down);
  CHECK(pool.advance(kStart + 9min).empty());
  CHECK(pool.advance(kStart + 10min).at(0).forgotten);
  CHECK(pool.servers().empty());
  CHECK(pool.next_deadline() == kNever);
}

TEST_CASE("Pool: any sign of life brings a server back", "[pool]") {
  Pool pool({});
  Server& server = pool.add(kStart, 1, "one", kAddress);
  CHECK_FALSE(pool.heard(kStart + 1s, server));
  server.timeouts = 5;
  server.left_out_until = kStart + 1h;
  pool.advance(kStart + 10s);
  CHECK(server.state == ServerState::down);
  CHECK(pool.heard(kStart + 10s, server));
  CHECK(server.state == ServerState::up);
  CHECK(server.delivers(kStart + 10s));
}

TEST_CASE("NegativeCache: remembers for two seconds, per server and path, and stays small", "[pool]") {
  NegativeCache cache;
  cache.note(kStart, 1, "a");
  CHECK(cache.has(kStart + 1999ms, 1, "a"));
  CHECK_FALSE(cache.has(kStart + 2s, 1, "a"));
  CHECK_FALSE(cache.has(kStart, 2, "a"));
  CHECK_FALSE(cache.has(kStart, 1, "b"));
  cache.note(kStart + 1s, 1, "a");
  cache.note(kStart + 2500ms, 1, "b");  // the first entry has expired, not the second
  CHECK(cache.has(kStart + 2500ms, 1, "a"));
  for (std::size_t i = 0; i < NegativeCache::kMost; ++i) cache.note(kStart + 2600ms, 2, std::to_string(i));
  CHECK_FALSE(cache.has(kStart + 2600ms, 1, "a"));
  CHECK(cache.has(kStart + 2600ms, 2, "0"));
}
