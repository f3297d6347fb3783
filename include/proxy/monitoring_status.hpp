#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"

namespace farol::proxy {

/// The last datagram that was dropped for a reason.
struct LastDrop {
  std::string reason;
  Address peer;
  Duration age{};
};

/// An agent that registers, and has not answered a probe yet.
struct UnansweredAgent {
  Address agent;
  std::uint16_t service_port = 0;
  std::uint64_t registers = 0;
  Duration first_age{}, age{};  ///< since the first and the last of them
};

/// What is told of monitoring: where agents may register, who may, and what did not lead to a back-end.
struct MonitoringStatus {
  std::string address;
  std::size_t keys = 0;                     ///< shared with agents; 0: anyone allowed may register
  std::vector<std::string> allowed;         ///< networks that may register; none: all
  std::vector<LastDrop> last_drops;         ///< of those that were dropped at all
  std::vector<UnansweredAgent> unanswered;  ///< the latest
};

}  // namespace farol::proxy
