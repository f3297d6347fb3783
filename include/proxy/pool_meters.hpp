#pragma once

#include <atomic>
#include <cstdint>

#include "common/histogram.hpp"

namespace farol::proxy {

/// What is counted for a whole pool, so that it stays when a back-end leaves. Relays and monitoring add to it without a
/// lock, on cache lines that hold nothing else; never falls. Owned by the pool. Any thread.
struct alignas(64) PoolMeters {
  Histogram connect_time{kMomentBounds}; ///< from the choice of a back-end to the connection
  Histogram session_time{kSpanBounds};   ///< from accept to end, of those that were relayed
  Histogram first_byte{kMomentBounds};   ///< from the choice to the back-end's first byte, without the client's own time
  Histogram probe_rtt{kMomentBounds};    ///< of probes answered in time
  std::atomic<std::uint64_t> connect_failures{0}, probes_lost{0};
};

}  // namespace farol::proxy
