#include "proxy/backend.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "proxy/backend_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;
using Answer = Backend::Answer;

// Probes of one back-end: numbers, nonces, losses.

TEST_CASE("Backend: who answers too late is asked again no oftener than who does not answer", "[backend]") {
  Row row;
  int again = 0;
  TimePoint now = kStart;
  for (int i = 0; i < 9; ++i) {
    const auto probe = row.make_probe(100, now, kTimeout);
    const auto expired = row.expire_probes(now + kTimeout, kTimeout, false);
    CHECK(expired.lost == 1);
    again += expired.ask_again ? 1 : 0;
    now += kTimeout + 1ms;
    REQUIRE(row.take_response(answer(probe), now, kTimeout) == Answer::late);
    row.heard(now, false);
  }
  CHECK(again == 6);  // two of three
}

TEST_CASE("Backend: probes are numbered from 1, answers need number and nonce", "[backend]") {
  Row row;
  const auto first = row.make_probe(100, kStart, kTimeout);
  const auto second = row.make_probe(200, kStart, kTimeout);
  CHECK(first.sequence == 1);
  CHECK(second.sequence == 2);
  CHECK(row.take_response(answer({2, 100, false}), kStart, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer({1, 101, false}), kStart, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer(second), kStart + 20ms, kTimeout) == Answer::taken);
  CHECK(row.take_response(answer(first), kStart + 30ms, kTimeout) == Answer::taken);
  CHECK(row.estimates().rtt().sample() == Duration(30ms));
  CHECK(row.take_response(answer(first), kStart + 30ms, kTimeout) == Answer::wrong_nonce);
  CHECK_FALSE(row.has_outstanding());
}

TEST_CASE("Backend: lost once, late once, never both", "[backend]") {
  Row row;
  const auto probe = row.make_probe(100, kStart, kTimeout);
  CHECK(row.expire_probes(kStart + 499ms, kTimeout, false).lost == 0);
  SECTION("the alarm is first") {
    CHECK(row.expire_probes(kStart + 500ms, kTimeout, false).lost == 1);
    CHECK(row.take_response(answer(probe), kStart + 501ms, kTimeout) == Answer::late);
  }
  SECTION("the answer is first") {
    CHECK(row.take_response(answer(probe), kStart + 501ms, kTimeout) == Answer::late);
    CHECK(row.estimates().loss().share() == 0);
    CHECK(row.expire_probes(kStart + 550ms, kTimeout, false).lost == 1);
  }
  CHECK(row.estimates().loss().share() == 1);
  CHECK_FALSE(row.estimates().rtt().sample());
  // A copy of the late answer is nothing.
  CHECK(row.take_response(answer(probe), kStart + 502ms, kTimeout) == Answer::wrong_nonce);
  CHECK(row.expire_probes(kStart + 1s, kTimeout, false).lost == 0);
}

TEST_CASE("Backend: what is lost in silence is no loss of the path", "[backend]") {
  Row row;
  const auto lose = [&row](TimePoint at) {
    row.make_probe(100, at, kTimeout);
    REQUIRE(row.expire_probes(at + kTimeout, kTimeout, false).lost == 1);
  };
  lose(kStart);
  const double once = row.load_view(kStart + kTimeout).loss;
  CHECK(once > 0);
  row.agent.silent = true;
  for (int i = 1; i < 20; ++i) lose(kStart + i * 1s);
  CHECK(row.load_view(kStart + 20s).loss == once);
  CHECK(row.estimates().loss().share() == 1);  // the report counts them all
  row.heard(kStart + 20s);
  lose(kStart + 21s);
  CHECK(row.load_view(kStart + 22s).loss == once);
}

TEST_CASE("Backend: losses that turn out to be an outage are no loss of the path, once it is over", "[backend]") {
  const bool silent = GENERATE(true, false);
  Row row;
  const auto lose = [&row](TimePoint at) {
    row.make_probe(100, at, kTimeout);
    REQUIRE(row.expire_probes(at + kTimeout, kTimeout, false).lost == 1);
  };
  const auto loss = [&row] { return row.load_view(kStart + 60s).loss; };
  lose(kStart);
  const double by_chance = loss();
  row.heard(kStart + 1s);
  CHECK(loss() == by_chance);
  for (int i = 2; i < 10; ++i) lose(kStart + i * 1s);
  CHECK(loss() == Approx(1 - std::pow(1 - by_chance, 4)));  // every third is no repetition
  if (silent)
    row.agent.silent = true;
  else
    row.connect_failed(kStart + 10s, true);
  lose(kStart + 10s);
  row.heard(kStart + 11s);
  CHECK(loss() == by_chance);
}

TEST_CASE("Backend: probes in flight while this process slept are void", "[backend]") {
  Row row;
  const auto probe = row.make_probe(100, kStart, kTimeout);
  CHECK(row.expire_probes(kStart + 5s, kTimeout, true).lost == 0);
  CHECK(row.has_outstanding());
  SECTION("an answer that waited in the socket is taken") {
    CHECK(row.take_response(answer(probe), kStart + 10ms, kTimeout) == Answer::taken);
    CHECK(row.estimates().rtt().sample() == Duration(10ms));
  }
  SECTION("one that arrived when the machine woke is late, no loss") {
    CHECK(row.take_response(answer(probe), kStart + 5s, kTimeout) == Answer::late);
  }
  SECTION("none is no loss either") {
    CHECK(row.expire_probes(kStart + 5499ms, kTimeout, false).lost == 0);
    CHECK(row.has_outstanding());
  }
  CHECK(row.expire_probes(kStart + 5500ms, kTimeout, false).lost == 0);
  CHECK_FALSE(row.has_outstanding());
  CHECK(row.estimates().loss().share() == 0);
}

TEST_CASE("Backend: a new life voids probes, loss and RTT", "[backend]") {
  Row row;
  const auto lost = row.make_probe(100, kStart, kTimeout);
  row.expire_probes(kStart + 1s, kTimeout, false);
  const auto probe = row.make_probe(200, kStart + 1s, kTimeout);
  row.adopt(kPath, 43, kStart + 1s);
  CHECK(row.estimates().loss().share() == 0);
  CHECK(row.estimates().rtt().estimated() == 200ms);
  CHECK_FALSE(row.recent_nonce(probe.nonce));
  CHECK(row.take_response(answer(probe), kStart + 1s, kTimeout) == Answer::wrong_nonce);
  CHECK(row.take_response(answer(lost), kStart + 1s, kTimeout) == Answer::wrong_nonce);
  CHECK(row.make_probe(300, kStart + 1s, kTimeout).sequence == 3);
}

TEST_CASE("Backend: the last two nonces are known, zero never", "[backend]") {
  Row row;
  CHECK_FALSE(row.recent_nonce(0));
  for (const std::uint64_t nonce : {1, 2, 3}) row.make_probe(nonce, kStart, kTimeout);
  CHECK_FALSE(row.recent_nonce(1));
  CHECK(row.recent_nonce(2));
  CHECK(row.recent_nonce(3));
}

TEST_CASE("Backend: an agent that never answers costs bounded memory", "[backend]") {
  Row row;
  for (std::uint64_t n = 1; n <= 1000; ++n) row.make_probe(n, kStart, 1h);
  CHECK_FALSE(row.is_outstanding(1000 - 16, 1000 - 16));
  CHECK(row.is_outstanding(1000 - 15, 1000 - 15));
}
