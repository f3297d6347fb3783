#include "monitor/registrations.hpp"

#include <catch2/catch.hpp>

using namespace farol;
using namespace farol::monitor;
using namespace std::chrono_literals;
using Prober = Registrations::Prober;
using Trouble = Registrations::Trouble;

namespace {

const TimePoint kStart{1h};
const Address kProxy = *Address::parse("10.1.1.10:5555");
const Address kOther = *Address::parse("[::1]:5555");

Prober probe(Registrations& registrations, TimePoint at, std::uint64_t nonce = 1, bool leaving = false,
             const Address& from = kProxy, std::uint32_t sequence = 7) {
  monitoring::Envelope envelope;
  envelope.peer = from;
  envelope.local = *Address::parse("10.1.1.1:5555");
  envelope.interface = 3;
  envelope.arrival = at;
  return registrations.probed(envelope, {sequence, nonce, leaving});
}

/// When Registers go out in [from, until], as seconds since kStart.
std::vector<double> sent(Registrations& registrations, TimePoint from, TimePoint until) {
  std::vector<double> times;
  for (TimePoint now = std::max(from, registrations.next_due()); now <= until;
       now = std::max(now, registrations.next_due())) {
    if (!registrations.take_due(now).empty()) times.push_back(to_seconds(now - kStart));
  }
  return times;
}

std::vector<double> every_second(int first, int last) {
  std::vector<double> times;
  for (int s = first; s <= last; ++s) times.push_back(s);
  return times;
}

Registrations with_proxy(Duration interval = 20s) {
  Registrations registrations(interval);
  registrations.set_proxies({kProxy}, kStart);
  return registrations;
}

}  // namespace

TEST_CASE("Registrations: without proxies nothing is ever due", "[registrations]") {
  Registrations registrations(20s);
  CHECK(registrations.next_due() == kNever);
  CHECK(registrations.take_due(kStart).empty());
}

TEST_CASE("Registrations: every second until the first probe", "[registrations]") {
  auto registrations = with_proxy();
  CHECK(sent(registrations, kStart, kStart + 5s) == every_second(0, 5));
}

TEST_CASE("Registrations: each interval while probes come", "[registrations]") {
  auto registrations = with_proxy();
  CHECK(sent(registrations, kStart, kStart) == every_second(0, 0));
  std::vector<double> times;
  for (auto t = 100ms; t < 65s; t += 5000ms) {
    probe(registrations, kStart + t);
    for (const double time : sent(registrations, kStart + t, kStart + t + 4999ms)) times.push_back(time);
  }
  CHECK(times == std::vector<double>{20, 40, 60});
}

TEST_CASE("Registrations: an interval below a second is kept to, probed or not", "[registrations]") {
  auto registrations = with_proxy(500ms);
  CHECK(sent(registrations, kStart, kStart + 2s) == std::vector<double>{0, 0.5, 1, 1.5, 2});
}

TEST_CASE("Registrations: three assumed gaps of silence after a single probe", "[registrations]") {
  auto registrations = with_proxy(60s);
  sent(registrations, kStart, kStart);
  probe(registrations, kStart);
  CHECK(sent(registrations, kStart, kStart + 18s) == every_second(15, 18));
}

TEST_CASE("Registrations: three measured gaps of silence, then every second until probed", "[registrations]") {
  auto registrations = with_proxy(60s);
  sent(registrations, kStart, kStart);
  for (int s = 0; s <= 6; s += 2) probe(registrations, kStart + std::chrono::seconds(s));
  CHECK(sent(registrations, kStart + 6s, kStart + 14s) == every_second(12, 14));
  CHECK(probe(registrations, kStart + 14s + 1ms) == Prober::back);
  CHECK(sent(registrations, kStart + 14s + 1ms, kStart + 20s).empty());
}

TEST_CASE("Registrations: one long pause does not change what is usual", "[registrations]") {
  auto registrations = with_proxy(600s);
  sent(registrations, kStart, kStart);
  for (int s : {0, 1, 2, 3, 4, 100}) probe(registrations, kStart + std::chrono::seconds(s));
  CHECK(sent(registrations, kStart + 100s, kStart + 104s) == every_second(103, 104));
}

TEST_CASE("Registrations: probes that are repeated at once do not make the proxy look silent", "[registrations]") {
  auto registrations = with_proxy(600s);
  sent(registrations, kStart, kStart);
  TimePoint now = kStart;
  for (int i = 0; i < 12; ++i) {  // each interval of 5 s: asked, and twice more for want of an answer
    for (const Duration gap : {500ms, 500ms, 4000ms}) {
      probe(registrations, now);
      if (i >= 3) CHECK(registrations.next_due() > now + 4s);  // it has seen nine gaps
      now += gap;
    }
  }
}

TEST_CASE("Registrations: silence is told once", "[registrations]") {
  auto registrations = with_proxy();
  registrations.take_due(kStart);
  probe(registrations, kStart);
  CHECK(registrations.take_due(kStart + 15s).at(0).trouble == Trouble::silent);
  CHECK(registrations.take_due(kStart + 16s).at(0).trouble == Trouble::none);
}

TEST_CASE("Registrations: a proxy that never probes is told of once", "[registrations]") {
  auto registrations = with_proxy();
  int told = 0;
  for (int s = 0; s < 30; ++s)
    if (registrations.take_due(kStart + std::chrono::seconds(s)).at(0).trouble == Trouble::unanswered) ++told;
  CHECK(told == 1);
}

TEST_CASE("Registrations: a leaving proxy gets one every second until it probes again", "[registrations]") {
  auto registrations = with_proxy();
  sent(registrations, kStart, kStart);
  CHECK(probe(registrations, kStart) == Prober::first_time);
  CHECK(probe(registrations, kStart + 2s, 7, true) == Prober::usual);
  CHECK(sent(registrations, kStart + 2s, kStart + 4s) == every_second(2, 4));
  CHECK(probe(registrations, kStart + 4s + 1ms) == Prober::back);
  CHECK(sent(registrations, kStart + 4s + 1ms, kStart + 8s).empty());
}

TEST_CASE("Registrations: a probe counts only from the address and port we register with", "[registrations]") {
  auto registrations = with_proxy();
  CHECK(probe(registrations, kStart, 1, false, kProxy.with_port(5556)) == Prober::unknown);
  CHECK(probe(registrations, kStart, 1, false, kOther) == Prober::unknown);
  CHECK(probe(registrations, kStart) == Prober::first_time);
  CHECK(probe(registrations, kStart + 5s) == Prober::usual);
}

TEST_CASE("Registrations: a new address is due at once, the others keep their rhythm", "[registrations]") {
  auto registrations = with_proxy();
  registrations.take_due(kStart);
  probe(registrations, kStart);
  registrations.set_proxies({kProxy, kOther}, kStart + 3s);
  const auto due = registrations.take_due(kStart + 3s);
  REQUIRE(due.size() == 1);
  CHECK(due[0].proxy == kOther);
  CHECK(probe(registrations, kStart + 5s) == Prober::usual);
}

TEST_CASE("Registrations: an address that is gone is answered no more", "[registrations]") {
  auto registrations = with_proxy();
  registrations.set_proxies({kOther}, kStart);
  CHECK(probe(registrations, kStart) == Prober::unknown);
  CHECK_FALSE(registrations.knows(kProxy));
}

TEST_CASE("Registrations: farewells go to who probed, with the last nonce, from where it arrived", "[registrations]") {
  Registrations registrations(20s);
  registrations.set_proxies({kProxy, kOther}, kStart);
  CHECK(registrations.farewells().empty());
  probe(registrations, kStart, 5);
  probe(registrations, kStart + 1s, 6);
  const auto farewells = registrations.farewells();
  REQUIRE(farewells.size() == 1);
  CHECK(farewells[0].nonce == 6);
  CHECK(farewells[0].envelope.peer == kProxy);
  CHECK(farewells[0].envelope.local.text() == "10.1.1.1:5555");
  CHECK(farewells[0].envelope.interface == 3);
}

TEST_CASE("Registrations: the challenge and the probe right behind it are no gap to learn from", "[registrations]") {
  auto registrations = with_proxy(60s);
  registrations.take_due(kStart);
  probe(registrations, kStart + 1ms, 1, false, kProxy, 0);
  probe(registrations, kStart + 2ms, 2, false, kProxy, 1);
  CHECK(sent(registrations, kStart + 1s, kStart + 14s).empty());
}
