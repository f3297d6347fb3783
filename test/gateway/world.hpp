#pragma once

#include <catch2/catch.hpp>

#include "gateway/simulation.hpp"

namespace farol::gateway_test {

inline FakeServer::File file(std::size_t size, unsigned seed = 1) {
  return {std::make_shared<const std::vector<std::uint8_t>>(pattern(size, seed))};
}

/// Some servers that all have "/f".
struct World : Simulation {
  explicit World(int servers, const FakeServer::File& its_file = file(1'000'000), const FakeServer& like = {},
                 Fetcher::Options options = {})
      : Simulation(1, options), content(*its_file.content) {
    for (int i = 0; i < servers; ++i) ids.push_back(join(like));
    give_all("f", its_file);
  }
  bool whole(const Download& download) const { return download.done && !download.failure && download.bytes == content; }
  std::vector<std::uint8_t> content;
  std::vector<ServerId> ids;
};

inline double seconds(const Simulation::Download& download) { return to_seconds(download.ended - download.began); }

inline bool was_told(const Simulation& world, Fetcher::Event::Kind kind) {
  return std::any_of(world.told.begin(), world.told.end(), [&](const auto& event) { return event.kind == kind; });
}

}  // namespace farol::gateway_test
