#include "gateway/replicas.hpp"

#include "gateway/world.hpp"

using namespace farol;
using namespace farol::gateway_test;

TEST_CASE("Fetcher: only equal versions share a transfer", "[fetcher]") {
  SECTION("most servers decide") {
    World world(3);
    world.server(1).files["f"] = file(1'000'000, 2);
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
    CHECK(world.server(1).chunks == 0);
  }
  SECTION("of two, the newer") {
    World world(2);
    world.server(1).files["f"] = file(1'000'000, 2);
    world.server(1).files["f"].mtime_ns = 0;
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
    CHECK(world.server(1).chunks == 0);
  }
  SECTION("content unknown, modified in the same nanosecond: equal") {
    auto unhashed = file(10'000'000);
    unhashed.hashed = false;
    World world(3, unhashed);
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
    for (const ServerId id : world.ids) CHECK(world.server(id).chunks > 0);
  }
  SECTION("content unknown, modified in the same second: not known to be equal") {
    auto unhashed = file(10'000'000);
    unhashed.hashed = false;
    unhashed.mtime_ns = 1'700'000'000'000'000'000;
    World world(3, unhashed);
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
    int used = 0;
    for (const ServerId id : world.ids) used += world.server(id).chunks > 0 ? 1 : 0;
    CHECK(used == 1);
  }
}

TEST_CASE("Fetcher: servers help once their content is known", "[fetcher][long]") {
  auto unhashed = file(200'000'000);
  unhashed.hashed = false;
  unhashed.mtime_ns = 1'700'000'000'000'000'000;
  World world(2, unhashed, {.bytes_per_second = 50e6});
  world.at(700ms, [&] {
    for (const ServerId id : world.ids) world.server(id).files["f"].hashed = true;
  });
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
  CHECK(world.server(1).chunks > 50'000);
  CHECK(world.server(2).chunks > 50'000);
}

TEST_CASE("Fetcher: a file that changes is never mixed", "[fetcher]") {
  World world(2, file(40'000'000));
  const auto change = [&](ServerId id) {
    world.server(id).files["f"] = file(40'000'000, 9);
    world.server(id).files["f"].mtime_ns = 77;
  };
  SECTION("on one server: the other goes on") {
    world.at(30ms, [&] { change(1); });
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
  }
  SECTION("on both: it fails") {
    world.at(30ms, [&] { change(1), change(2); });
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::version_changed);
    CHECK(std::equal(download.bytes.begin(), download.bytes.end(), world.content.begin()));
  }
  SECTION("held for equal by time, and different by content: it fails") {
    auto unhashed = file(40'000'000);
    unhashed.hashed = false;
    auto other = file(40'000'000, 5);
    other.hashed = false;
    world.server(1).files["f"] = unhashed;
    world.server(2).files["f"] = other;
    for (const ServerId id : world.ids) world.server(id).bytes_per_second = 10e6;
    world.at(100ms, [&] { world.server(1).files["f"].hashed = world.server(2).files["f"].hashed = true; });
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::version_changed);
  }
}

TEST_CASE("Fetcher: a file replaced before its content was known comes in the old version", "[fetcher]") {
  auto unhashed = file(40'000'000);
  unhashed.hashed = false;
  World world(2, unhashed, {.bytes_per_second = 10e6});
  world.at(300ms, [&] {
    for (const ServerId id : world.ids) {
      FakeServer& server = world.server(id);
      server.replaced["f"] = server.files["f"];
      server.files["f"] = file(40'000'000, 9);
      server.files["f"].mtime_ns = 77;
    }
  });
  const auto& download = world.get("f");
  SECTION("and never is") {}
  SECTION("and is later") {
    world.at(900ms, [&] { world.server(1).replaced["f"].hashed = world.server(2).replaced["f"].hashed = true; });
  }
  world.run();
  CHECK(world.whole(download));
  for (const ServerId id : world.ids) CHECK(world.server(id).chunks > 10'000);
}

TEST_CASE("Replicas: a late answer about whatever the path led to changes nothing for a version that we have",
          "[fetcher]") {
  TimePoint now{1h};
  Pool pool({});
  pool.add(now, 1, "s1", Address::ipv4(0x7f000001, 1));
  const NegativeCache lacking;
  const transfer::FileInfo old{100, 1, transfer::VersionTag{1}, {}}, renewed{100, 2, transfer::VersionTag{2}, {}};
  Replicas replicas("f");
  CHECK(replicas.questions(now, pool, lacking).size() == 1);
  now += 10s;  // its answer is late, so it is asked again
  REQUIRE(replicas.questions(now, pool, lacking).size() == 1);
  replicas.answered(now, 1, old);
  now += 100ms;
  REQUIRE_FALSE(replicas.conclude(now, pool));
  REQUIRE(replicas.version());
  replicas.answered(now, 1, renewed);
  REQUIRE(replicas.members().size() == 1);
  CHECK(replicas.members()[0].second->info.stat_tag == old.stat_tag);
  CHECK_FALSE(replicas.conclude(now, pool));
  now += 10s;
  const auto questions = replicas.questions(now, pool, lacking);
  REQUIRE(questions.size() == 1);
  CHECK(questions[0].tag == old.stat_tag);
}
