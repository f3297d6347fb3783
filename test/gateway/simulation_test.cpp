#include "gateway/simulation.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace farol;
using namespace farol::gateway_test;

namespace {

/// One random world: servers of different speed in any weather, some dying, joining or mute for large packets, and a
/// few clients. At least one server stays well, so every byte must come, and the right ones.
void run_world(unsigned seed) {
  std::mt19937 random(seed);
  const auto upto = [&](double most) { return std::uniform_real_distribution<>(0, most)(random); };
  const auto pick = [&](int least, int most) { return std::uniform_int_distribution<>(least, most)(random); };
  Simulation world(seed);
  const double storm = pick(0, 3) == 0 ? .3 : .03;
  const auto random_server = [&](double its_storm) {
    FakeServer server;
    server.weather = {.loss = upto(its_storm), .duplicated = upto(storm), .delayed = upto(.3), .corrupted = upto(its_storm / 3),
                      .delay = std::chrono::microseconds(pick(20, 20'000)), .jitter = std::chrono::microseconds(pick(0, 5000))};
    server.bytes_per_second = std::pow(10, 6 + upto(2.5));
    return server;
  };
  const int files = pick(1, 3);
  std::vector<FakeServer::File> contents;
  for (int i = 0; i < files; ++i) {
    const double size = pick(0, 9) == 0 ? upto(2e6) : upto(2e5);
    contents.push_back({std::make_shared<const std::vector<std::uint8_t>>(
        pattern(pick(0, 20) == 0 ? 0 : static_cast<std::size_t>(size), seed + static_cast<unsigned>(i)))});
    contents.back().hashed = pick(0, 3) != 0;
  }
  const auto give = [&](ServerId id, bool all) {
    for (int i = 0; i < files; ++i)
      if (all || pick(0, 3) != 0) world.server(id).files["f" + std::to_string(i)] = contents[static_cast<std::size_t>(i)];
  };
  give(world.join(random_server(std::min(storm, .1))), true);  // stays well: its heartbeats come through
  for (int i = pick(0, 4); i > 0; --i) {
    const ServerId id = world.join(random_server(storm));
    give(id, false);
    const Duration when = std::chrono::microseconds(pick(0, 300'000));
    switch (pick(0, 5)) {
      case 0:
        world.at(when, [&world, id] { world.server(id).alive = false; });
        break;
      case 1:
        world.server(id).large_packets = false;
        break;
      case 2:
        world.at(when, [&world, id] { world.leave(id); });
        break;
      case 3:
        world.at(when, [&world, id] { world.server(id).alive = false; });
        world.at(when + std::chrono::milliseconds(pick(1, 3000)), [&world, id] { world.server(id).alive = true; });
        break;
      default:
        break;
    }
  }
  const FakeServer late = random_server(storm);
  if (pick(0, 1) == 0) world.at(std::chrono::microseconds(pick(0, 100'000)), [&] { give(world.join(late), false); });

  struct Wanted {
    const Simulation::Download* download;
    std::size_t file, first, end;
  };
  std::vector<Wanted> wanted;
  for (int i = pick(1, 4); i > 0; --i) {
    const auto which = static_cast<std::size_t>(pick(0, files - 1));
    const std::size_t size = contents[which].content->size();
    const bool whole = pick(0, 2) != 0;
    const auto first = whole ? 0 : static_cast<std::size_t>(upto(static_cast<double>(size)));
    const auto end = whole ? size : first + static_cast<std::size_t>(upto(static_cast<double>(size - first)));
    const double speed = pick(0, 3) == 0 ? 1e6 : 1e12;
    wanted.push_back({&world.get("f" + std::to_string(which), first, end, speed), which, first, end});
  }
  world.run(300s);
  for (const Wanted& each : wanted) {
    CAPTURE(seed, to_seconds(each.download->ended - each.download->began), each.file, each.first, each.end, each.download->bytes.size());
    REQUIRE(each.download->done);
    if (each.download->failure) FAIL(to_string(*each.download->failure));
    const auto& content = *contents[each.file].content;
    REQUIRE(each.download->bytes == std::vector<std::uint8_t>(content.begin() + static_cast<std::ptrdiff_t>(each.first),
                                                              content.begin() + static_cast<std::ptrdiff_t>(each.end)));
  }
  REQUIRE(world.fetcher.transfers() == 0);
}

}  // namespace

TEST_CASE("Fetcher: thousands of random networks, and every byte is right", "[simulation]") {
  const char* const worlds = std::getenv("FAROL_WORLDS");
  const char* const first = std::getenv("FAROL_WORLD");
  const unsigned from = first != nullptr ? static_cast<unsigned>(std::atoi(first)) : 1;
  const unsigned some = worlds != nullptr ? static_cast<unsigned>(std::atoi(worlds)) : 1000;
  for (unsigned seed = from; seed < from + some; ++seed) run_world(seed);
}
