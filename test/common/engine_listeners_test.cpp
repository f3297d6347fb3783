#include <atomic>
#include <catch2/catch.hpp>
#include <list>
#include <memory>
#include <system_error>

#include "common/engine_fixture.hpp"

using namespace farol;
using namespace farol::test;

TEST_CASE("engine: a listener may come later and go sooner", "[engine]") {
  std::atomic<std::uint32_t> number{0};
  const Handler handler = [&number](Io& io, Accepted client) {
    number = client.listener;
    return echo(io, std::move(client));
  };
  const auto kind = GENERATE(every_engine());
  const std::size_t descriptors = open_descriptors();
  EngineUnderTest engine(kind, handler);
  const Peer first = engine.client();
  REQUIRE(echoes(first));
  const std::size_t with_one = open_descriptors();
  for (const std::uint32_t given : {7U, 8U}) {
    auto later = std::make_shared<Listener>(Address::ipv4(0x7f000001, 0));
    const Address address = later->address();
    engine->listen(later, given);
    const Peer second = Peer::connect(address);
    REQUIRE(echoes(second));
    CHECK(number == given);
    later->close_listening();
    later.reset();
    CHECK_THROWS_AS(Peer::connect(address), std::system_error);
    CHECK(echoes(second));
  }
  CHECK(echoes(first));
  const Peer third = engine.client();
  CHECK(echoes(third));
  CHECK(number == 0);
  CHECK(eventually([&] { return open_descriptors() <= with_one + 2; }));  // of the third client
  CHECK(descriptors < with_one);
}

TEST_CASE("engine: what it releases another one accepts on, and no client is lost between them", "[engine]") {
  const auto kind = GENERATE(every_engine());
  EngineUnderTest old(kind, echo);
  const Address address = old.address();
  std::list<Peer> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(old.client());
  for (const Peer& client : clients) REQUIRE(echoes(client));
  EngineOptions options;
  options.reactors = 2;
  const auto successor = start_engine(kind, {old.listener()}, echo, options, old.log().log());
  old->release();
  for (int i = 0; i < 200; ++i) {
    clients.push_back(old.client());
    REQUIRE(echoes(clients.back()));
  }
  REQUIRE(eventually([&] { return !old->accepts(); }));
  const std::size_t last_of_old = old->active();
  for (int i = 0; i < 20; ++i) {
    clients.push_back(old.client());
    REQUIRE(echoes(clients.back()));
  }
  CHECK(old->active() == last_of_old);
  old->cut();
  old.end();
  const Peer last = Peer::connect(address);
  CHECK(echoes(last));
}

TEST_CASE("engine: a limit on connections may change", "[engine]") {
  EngineUnderTest engine(GENERATE(every_engine()), echo);
  const Peer one = engine.client();
  REQUIRE(echoes(one));
  engine->limit_connections(1);
  CHECK(engine.client().read_to_end().bytes.empty());
  CHECK(echoes(one));
  engine->limit_connections(2);
  const Peer two = engine.client();
  CHECK(echoes(two));
}
