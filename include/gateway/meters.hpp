#pragma once

#include <atomic>
#include <cstdint>

#include "common/histogram.hpp"

namespace farol::gateway {

/// What is counted where clients are served, without a lock, on cache lines that hold nothing else; never falls. Owned by
/// GatewayServer. Any thread.
struct alignas(64) Meters {
  Histogram first_byte{kMomentBounds};   ///< from the request to the first bytes of its file
  Histogram transfer_time{kSpanBounds};  ///< from the request to the last ones, of files sent whole
  std::atomic<std::uint64_t> bytes{0};   ///< of files, given to clients
  std::atomic<std::uint64_t> clients_gone{0};  ///< that left before the end of their file
};

}  // namespace farol::gateway
