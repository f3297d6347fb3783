#include "gateway/fetcher.hpp"

#include "gateway/world.hpp"

using namespace farol;
using namespace farol::gateway_test;

TEST_CASE("Fetcher: files of every awkward size arrive whole", "[fetcher]") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kChunkSize - 1, kChunkSize, kChunkSize + 1, kSegmentSize - 1, kSegmentSize,
        kSegmentSize + 1, std::size_t{1'000'000}, std::size_t{20'000'000}}) {
    World world(3, file(size));
    const auto& download = world.get("f");
    world.run();
    CHECK(world.whole(download));
    CHECK(world.sent_chunks == transfer::chunks_of(size, kChunkSize));
  }
}

TEST_CASE("Fetcher: a range fetches its own chunks only", "[fetcher]") {
  World world(3);
  struct Range {
    std::uint64_t first, end;
  };
  for (const Range range : {Range{0, 1}, {1183, 1185}, {75'775, 75'777}, {500'000, 600'000}, {999'999, 1'000'000}}) {
    const auto before = world.sent_chunks;
    const auto& download = world.get("f", range.first, range.end);
    world.run();
    CHECK(download.bytes == std::vector<std::uint8_t>(world.content.begin() + static_cast<std::ptrdiff_t>(range.first),
                                                      world.content.begin() + static_cast<std::ptrdiff_t>(range.end)));
    CHECK(world.sent_chunks - before == (range.end - 1) / kChunkSize - range.first / kChunkSize + 1);
  }
}

TEST_CASE("Fetcher: all servers that have the file take part", "[fetcher]") {
  World world(3, file(20'000'000));
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
  for (const ServerId id : world.ids) CHECK(world.server(id).chunks > 20'000'000 / kChunkSize / 5);
  CHECK(seconds(download) < 1.3 * 20e6 / 600e6);
}

TEST_CASE("Fetcher: unequal servers each give what they can", "[fetcher][long]") {
  World world(3, file(40'000'000));
  world.server(world.ids[2]).bytes_per_second = 5e6;
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
  CHECK(seconds(download) < 1.4 * 40e6 / 405e6);
}

TEST_CASE("Fetcher: a server that crawls holds nobody up", "[fetcher]") {
  World world(2, file(10'000'000));
  const auto& first = world.get("f");
  world.run();
  CHECK(world.whole(first));
  world.server(2).bytes_per_second = 10e3;  // four chunks take half a second
  const auto& second = world.get("f");
  world.run();
  CHECK(world.whole(second));
  CHECK(seconds(second) < 0.3);
}

TEST_CASE("Fetcher: a missing file touches no server", "[fetcher]") {
  World world(3);
  const auto& missing = world.get("typo");
  world.run();
  CHECK(missing.failure == Failure::nobody_has_it);
  const auto asked = world.server(world.ids[0]).requests;
  const auto& again = world.get("typo");
  world.run(1s);
  CHECK(again.failure == Failure::nobody_has_it);
  CHECK(world.server(world.ids[0]).requests == asked);  // remembered
  CHECK(world.fetcher.pool().servers().size() == 3);
  CHECK(world.fetcher.pool().any_up());
  CHECK(world.told.empty());
  world.pass(3s);
  world.get("typo");
  world.run(1s);
  CHECK(world.server(world.ids[0]).requests == asked + 1);  // but not for long
  const auto& there = world.get("f");
  world.run();
  CHECK(world.whole(there));
}

TEST_CASE("Fetcher: one server that has the file is enough", "[fetcher]") {
  World world(3);
  world.server(world.ids[0]).files.clear();
  world.server(world.ids[2]).files.clear();
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
}

TEST_CASE("Fetcher: why a file does not come", "[fetcher]") {
  SECTION("nobody is there") {
    World world(0);
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::no_server);
    CHECK(seconds(download) < 0.1);
  }
  SECTION("who has it cannot read it") {
    World world(2);
    world.server(1).files["f"].broken = transfer::NotFoundReason::io_error;
    world.server(2).files.clear();
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::server_error);
  }
  SECTION("forbidden and directories are not there") {
    World world(2);
    world.server(1).files["f"].broken = transfer::NotFoundReason::forbidden;
    world.server(2).files["f"].broken = transfer::NotFoundReason::not_regular;
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::nobody_has_it);
  }
  SECTION("one that answers nothing but heartbeats") {
    World world(2);
    world.server(1).files.clear();
    world.server(2).files.clear();
    world.server(2).alive = false;
    const std::function<void()> beat = [&] {
      world.fetcher.receive(world.now, 2, {.type = transfer::PacketType::heartbeat}, transfer::Heartbeat{});
      world.at(1s, beat);
    };
    world.at(1s, beat);
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::no_answer);
  }
  SECTION("one that died is not waited for longer than its heartbeats") {
    World world(2);
    world.server(1).files.clear();
    world.server(2).alive = false;
    const auto& download = world.get("f");
    world.run();
    CHECK(download.failure == Failure::nobody_has_it);
    CHECK(seconds(download) < 5.1);
  }
}

TEST_CASE("Fetcher: a server that dies costs its chunks and no more", "[fetcher][long]") {
  World world(3, file(40'000'000));
  const auto& download = world.get("f");
  world.at(20ms, [&] { world.server(2).alive = false; });
  world.run();
  CHECK(world.whole(download));
  CHECK(seconds(download) < 40e6 / 400e6 + 0.05);
}

TEST_CASE("Fetcher: a silent server becomes suspect, then down, and comes back", "[fetcher]") {
  World world(2);
  for (const ServerId id : world.ids) world.server(id).alive = false;
  world.pass(3500ms);
  CHECK(world.fetcher.pool().servers().at(2).state == ServerState::suspect);
  world.pass(2s);
  CHECK(world.fetcher.pool().servers().at(2).state == ServerState::down);
  CHECK_FALSE(world.fetcher.pool().any_up());
  world.fetcher.receive(world.now, 2, {.type = transfer::PacketType::heartbeat}, transfer::Heartbeat{});
  CHECK(world.fetcher.pool().servers().at(2).state == ServerState::up);
  world.pass(1us);
  CHECK(was_told(world, Fetcher::Event::Kind::suspect));
  CHECK(was_told(world, Fetcher::Event::Kind::down));
  CHECK(was_told(world, Fetcher::Event::Kind::back));
  world.server(2).alive = true;
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
}

TEST_CASE("Fetcher: a server whose large packets never arrive is left out", "[fetcher]") {
  World world(4, file(20'000'000), {.bytes_per_second = 10e6});
  world.server(1).large_packets = world.server(2).large_packets = false;
  const auto& first = world.get("f");
  world.run();
  CHECK(world.whole(first));
  CHECK(seconds(first) < 1.2);
  CHECK(was_told(world, Fetcher::Event::Kind::left_out));
  CHECK(world.fetcher.pool().servers().at(1).state == ServerState::up);
  const auto& second = world.get("f");
  world.run();
  CHECK(world.whole(second));
  CHECK(seconds(second) < 1.2);
}

TEST_CASE("Fetcher: when large packets of nobody arrive, it says so in the end", "[fetcher]") {
  World world(2);
  world.server(1).large_packets = world.server(2).large_packets = false;
  const auto& download = world.get("f");
  world.run();
  CHECK(download.failure == Failure::no_answer);
  CHECK(seconds(download) < 31);
}

TEST_CASE("Fetcher: a new server helps at once", "[fetcher]") {
  World world(1, file(40'000'000));
  const auto& download = world.get("f");
  world.at(50ms, [&] { world.join(world.server(1)); });
  world.run();
  CHECK(world.whole(download));
  CHECK(world.server(2).chunks > 8000);
  CHECK(seconds(download) < 0.16);
}

TEST_CASE("Fetcher: several requests share the pool fairly", "[fetcher][long]") {
  World world(3, file(20'000'000));
  std::vector<const Simulation::Download*> downloads;
  for (int i = 0; i < 5; ++i) downloads.push_back(&world.get("f"));
  world.run();
  const double each = 5 * 20e6 / 600e6;
  for (const auto* download : downloads) {
    CHECK(world.whole(*download));
    CHECK(seconds(*download) > 0.7 * each);
    CHECK(seconds(*download) < 1.3 * each);
  }
}

TEST_CASE("Fetcher: a slow client holds its own transfer back, with bounded memory", "[fetcher][long]") {
  World world(3, file(40'000'000));
  const auto& slow = world.get("f", 0, ~std::uint64_t{0}, 20e6);
  const auto& fast = world.get("f");
  world.run();
  CHECK(world.whole(slow));
  CHECK(world.whole(fast));
  CHECK(seconds(slow) < 2.2);
  CHECK(seconds(fast) < 0.15);
  CHECK(slow.most_buffers <= (8U << 20U) / kSegmentSize + 10);
}

TEST_CASE("Fetcher: a reader that pauses for minutes is not told that it stalled", "[fetcher]") {
  World world(1, file(40'000'000));
  const auto& download = world.get("f", 0, ~std::uint64_t{0}, 200e3);
  world.run(400s);
  CHECK(world.whole(download));
}

TEST_CASE("Fetcher: a client that goes away leaves nothing behind", "[fetcher][long]") {
  World world(2, file(40'000'000));
  const auto& download = world.get("f");
  world.at(20ms, [&] { world.abandon(download); });
  world.run();
  CHECK(world.fetcher.transfers() == 0);
  const auto& next = world.get("f");
  world.run();
  CHECK(world.whole(next));
}

TEST_CASE("Fetcher: loss costs what is lost", "[fetcher][long]") {
  const double loss = GENERATE(.01, .05);
  FakeServer lossy;
  lossy.weather.loss = loss;
  World world(3, file(40'000'000), lossy);
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
  CHECK(seconds(download) < 40e6 / 600e6 / (loss < .02 ? .8 : .5));
  CHECK(static_cast<double>(world.sent_chunks) < (1 + 2 * loss + .02) * 40e6 / kChunkSize);
}

TEST_CASE("Fetcher: a long way is filled", "[fetcher][long]") {
  FakeServer far;
  far.weather.delay = 10ms;
  far.weather.loss = GENERATE(.0, .01);
  far.bytes_per_second = 40e6;
  World world(3, file(60'000'000), far);
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
  CHECK(seconds(download) < 1.6 * 60e6 / 120e6);
}

TEST_CASE("Fetcher: all that is in flight fits the receive buffer", "[fetcher][long]") {
  Fetcher::Options options;
  options.pool.max_in_flight = 500;
  FakeServer far;
  far.weather.delay = 5ms;
  World world(6, file(10'000'000), far, options);
  std::vector<const Simulation::Download*> downloads;
  for (int i = 0; i < 4; ++i) downloads.push_back(&world.get("f"));
  unsigned most = 0;
  const std::function<void()> look = [&] {
    unsigned in_flight = 0;
    for (const auto& [id, server] : world.fetcher.pool().servers()) in_flight += server.rate.in_flight();
    most = std::max(most, in_flight);
    world.at(1ms, look);
  };
  world.at(1ms, look);
  world.run();
  for (const auto* download : downloads) CHECK(world.whole(*download));
  CHECK(most > 400);
  CHECK(most <= 500);
}

TEST_CASE("Fetcher: messages that answer nothing are counted and change nothing", "[fetcher]") {
  World world(1);
  using namespace transfer;
  const auto bytes = pattern(2000, 3);
  Fetcher& fetcher = world.fetcher;
  fetcher.receive(world.now, 1, {.request = 99}, FileInfo{});
  fetcher.receive(world.now, 1, {.request = 99}, FileChunk{0, true, std::span(bytes).first(10)});
  fetcher.receive(world.now, 1, {.request = 99}, FileNotFound{});
  fetcher.receive(world.now, 7, {.request = 99}, FileInfo{});
  fetcher.receive(world.now, 1, {.request = 99}, Accept{});
  CHECK(fetcher.unexpected() == 5);
  const auto& download = world.get("f");
  world.run();
  CHECK(world.whole(download));
}

TEST_CASE("Fetcher: nobody answers for another server", "[fetcher]") {
  World world(2);
  const auto& download = world.get("f");
  world.pass(0s);  // the questions leave: 1 to server 1, 2 to server 2
  world.fetcher.receive(world.now, 2, {.request = 1}, transfer::FileInfo{});
  world.fetcher.receive(world.now, 2, {.request = 1}, transfer::FileNotFound{transfer::NotFoundReason::not_found});
  CHECK(world.fetcher.unexpected() == 2);
  world.run();
  CHECK(world.whole(download));
  for (const ServerId id : world.ids) CHECK(world.server(id).chunks > 0);
}
