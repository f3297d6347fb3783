#include "proxy/counters.hpp"

#include <algorithm>
#include <cassert>
#include <string>

namespace farol::proxy {
namespace {

constexpr std::array<const char*, kRejections> kRejectionNames = {
    "limit",         "source_limit",   "no_backend", "queue_full",
    "queue_timeout", "connect_failed", "no_thread",  "no_resources"};

}  // namespace

void Counters::ended(std::string_view cause) {
  const auto known = std::find(kCauses.begin(), kCauses.end(), cause);
  assert(known != kCauses.end());
  add(ended_[static_cast<std::size_t>(known - kCauses.begin())]);
}

void Counters::fill(ProxyStatus& status, const Refused& by_limit, TimePoint now) const {
  status.connections_total = connections();
  status.bytes_in = bytes_in_.load(std::memory_order_relaxed);
  status.bytes_out = bytes_out_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < kRejections; ++i) {
    const Refused engine = i == static_cast<std::size_t>(Rejection::limit) ? by_limit : Refused{};
    const TimePoint last = std::max(rejected_at_[i].load(std::memory_order_relaxed), engine.last);
    Counter& counter = status.rejected.emplace_back();
    counter.reason = kRejectionNames[i];
    counter.count = rejected_[i].load(std::memory_order_relaxed) + engine.count;
    if (last != TimePoint{}) counter.last_age = std::max(now - last, Duration::zero());
  }
  for (std::size_t i = 0; i < kCauses.size(); ++i)
    status.ended.push_back({std::string(kCauses[i]), ended_[i].load(std::memory_order_relaxed)});
  for (std::size_t i = 0; i < monitoring::kDropReasons; ++i)
    status.dropped_packets.push_back({std::string(to_string(static_cast<monitoring::DropReason>(i))),
                                      dropped_[i].load(std::memory_order_relaxed)});
}

}  // namespace farol::proxy
