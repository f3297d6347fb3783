#include "proxy/counters.hpp"

#include <string>

namespace farol::proxy {
namespace {

constexpr std::array<const char*, kRejections> kRejectionNames = {
    "limit",         "source_limit",   "no_backend", "queue_full",
    "queue_timeout", "connect_failed", "no_thread",  "no_resources"};

}  // namespace

void Counters::fill(ProxyStatus& status, std::uint64_t refused_by_limit) const {
  status.connections_total = connections();
  status.bytes_in = bytes_in_.load(std::memory_order_relaxed);
  status.bytes_out = bytes_out_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < kRejections; ++i) {
    const std::uint64_t engine = i == static_cast<std::size_t>(Rejection::limit) ? refused_by_limit : 0;
    status.rejected.push_back({kRejectionNames[i], rejected_[i].load(std::memory_order_relaxed) + engine});
  }
  for (std::size_t i = 0; i < monitoring::kDropReasons; ++i)
    status.dropped_packets.push_back({std::string(to_string(static_cast<monitoring::DropReason>(i))),
                                      dropped_[i].load(std::memory_order_relaxed)});
}

}  // namespace farol::proxy
