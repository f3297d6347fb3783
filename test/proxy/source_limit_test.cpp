#include "proxy/source_limit.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "common/thread.hpp"

using namespace farol;
using proxy::SourceLimit;

namespace {

Address from(const char* text) { return Address::parse(text).value(); }

}  // namespace

TEST_CASE("SourceLimit: one more than it may is refused, and who goes makes room", "[limits]") {
  SourceLimit limit(2);
  std::optional<SourceLimit::Share> first(limit.enter(from("10.0.0.1:1000")));
  const auto second = limit.enter(from("10.0.0.1:1001"));
  CHECK(*first);
  CHECK(second);
  CHECK_FALSE(limit.enter(from("10.0.0.1:1002")));
  CHECK_FALSE(limit.enter(from("10.0.0.1:1002")));  // a refused one gives nothing back
  CHECK(limit.enter(from("10.0.0.2:1000")));
  first.reset();
  const auto third = limit.enter(from("10.0.0.1:1003"));
  CHECK(third);
  CHECK_FALSE(limit.enter(from("10.0.0.1:1004")));
}

TEST_CASE("SourceLimit: without a limit nobody is refused, and the refused are not remembered", "[limits]") {
  SourceLimit limit(1);
  {
    const auto first = limit.enter(from("10.0.0.1:1000"));
    CHECK_FALSE(limit.enter(from("10.0.0.1:1001")));
    limit.change(0);  // under a client that was accepted when there was one
    CHECK(limit.enter(from("10.0.0.1:1002")));
    CHECK(limit.enter(from("10.0.0.2:1000")));
  }
  CHECK(limit.sources() == 0);
}

TEST_CASE("SourceLimit: a source is an IPv4 address, mapped or not, or an IPv6 /64", "[limits]") {
  SourceLimit limit(1);
  const auto v4 = limit.enter(from("192.0.2.1:1"));
  CHECK(limit.enter(from("192.0.2.2:1")));
  CHECK_FALSE(limit.enter(from("[::ffff:192.0.2.1]:2")));
  const auto v6 = limit.enter(from("[2001:db8:0:1::1]:1"));
  CHECK_FALSE(limit.enter(from("[2001:db8:0:1:ffff:ffff:ffff:ffff]:1")));
  CHECK(limit.enter(from("[2001:db8:0:2::1]:1")));
}

TEST_CASE("SourceLimit: it remembers nobody who is not here", "[limits]") {
  SourceLimit limit(3);
  for (int round = 0; round < 3; ++round) {
    std::vector<SourceLimit::Share> here;
    for (std::uint16_t port = 1; port < 100; ++port)
      here.push_back(limit.enter(Address::ipv4(0x0a000000U + port % 10, port)));
    CHECK(limit.sources() == 10);
  }
  CHECK(limit.sources() == 0);
}

TEST_CASE("SourceLimit: many at once never exceed it", "[limits]") {
  SourceLimit limit(2);
  std::atomic<int> inside{0}, most{0};
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back("source", [&] {
        for (int k = 0; k < 5000; ++k) {
          const auto share = limit.enter(from("10.0.0.1:1"));
          if (!share) continue;
          const int now = ++inside;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
          --inside;
        }
      });
  }
  CHECK(most >= 1);
  CHECK(most <= 2);
  CHECK(limit.sources() == 0);
}
