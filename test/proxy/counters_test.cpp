#include "proxy/counters.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "common/thread.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;
using monitoring::DropReason;

namespace {

std::map<std::string, std::uint64_t> by_reason(const std::vector<Counter>& counters) {
  std::map<std::string, std::uint64_t> result;
  for (const Counter& counter : counters) CHECK(result.emplace(counter.reason, counter.count).second);
  return result;
}

}  // namespace

TEST_CASE("Counters: every reason has its own cell and name", "[counters]") {
  Counters counters;
  for (std::size_t i = 0; i < monitoring::kDropReasons; ++i)
    for (std::size_t n = 0; n <= i; ++n) counters.drop(static_cast<DropReason>(i));
  for (std::size_t i = 0; i < kRejections; ++i)
    for (std::size_t n = 0; n <= i; ++n) counters.reject(static_cast<Rejection>(i), TimePoint(1s));
  ProxyStatus status;
  counters.fill(status, {}, TimePoint(2s));
  const auto dropped = by_reason(status.dropped_packets);
  CHECK(dropped.size() == monitoring::kDropReasons);
  for (std::size_t i = 0; i < monitoring::kDropReasons; ++i)
    CHECK(dropped.at(std::string(to_string(static_cast<DropReason>(i)))) == i + 1);
  const std::map<std::string, std::uint64_t> rejected = {
      {"limit", 1},         {"source_limit", 2},   {"no_backend", 3}, {"queue_full", 4},
      {"queue_timeout", 5}, {"connect_failed", 6}, {"no_thread", 7},  {"no_resources", 8}};
  CHECK(by_reason(status.rejected) == rejected);
}

TEST_CASE("Counters: what the engine refused is part of the limit's", "[counters]") {
  Counters counters;
  counters.reject(Rejection::limit, TimePoint(1s));
  counters.connection();
  counters.bytes(10, 200);
  counters.bytes(1, 2);
  ProxyStatus status;
  counters.fill(status, {41, TimePoint(3s)}, TimePoint(4500ms));
  CHECK(by_reason(status.rejected).at("limit") == 42);
  CHECK(status.rejected[0].last_age == Duration(1500ms));
  CHECK(status.connections_total == 1);
  CHECK(status.bytes_in == 11);
  CHECK(status.bytes_out == 202);
}

TEST_CASE("Counters: how long ago somebody was last refused is kept for each reason", "[counters]") {
  Counters counters;
  counters.reject(Rejection::queue_full, TimePoint(1s));
  counters.reject(Rejection::queue_full, TimePoint(2s));
  counters.reject(Rejection::no_thread, TimePoint(9s));
  ProxyStatus status;
  counters.fill(status, {}, TimePoint(10s));
  for (const Counter& counter : status.rejected) {
    const auto age = counter.reason == "queue_full"  ? std::optional<Duration>(8s)
                     : counter.reason == "no_thread" ? std::optional<Duration>(1s)
                                                     : std::nullopt;
    CHECK(counter.last_age == age);
  }
}

TEST_CASE("Counters: every cause has its own cell", "[counters]") {
  Counters counters;
  for (std::size_t i = 0; i < kCauses.size(); ++i)
    for (std::size_t n = 0; n <= i; ++n) counters.ended(kCauses[i]);
  ProxyStatus status;
  counters.fill(status, {}, TimePoint(1s));
  const auto ended = by_reason(status.ended);
  CHECK(ended.size() == kCauses.size());
  for (std::size_t i = 0; i < kCauses.size(); ++i) CHECK(ended.at(std::string(kCauses[i])) == i + 1);
}

TEST_CASE("Counters: nothing is lost between threads", "[counters]") {
  constexpr int kThreads = 4, kEach = 10'000;
  Counters counters;
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back("count", [&] {
        for (int i = 0; i < kEach; ++i) {
          counters.drop(DropReason::nonce);
          counters.connection();
          counters.bytes(1, 2);
        }
      });
  }
  ProxyStatus status;
  counters.fill(status, {}, TimePoint(2s));
  CHECK(counters.dropped(DropReason::nonce) == kThreads * kEach);
  CHECK(status.connections_total == kThreads * kEach);
  CHECK(status.bytes_out == 2 * kThreads * kEach);
}
