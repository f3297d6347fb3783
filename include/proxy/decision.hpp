#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "proxy/policy.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// What a candidate looked like when a choice was made (report figure 5.10).
struct Explained {
  Address address;
  double score = 0;            ///< what the policy compared
  ScoreComponents components;  ///< what it is made of; all in `tcp` where only connections count
  double rtt_ms = 0;           ///< last sample
  std::uint32_t tcp = 0;       ///< as reported: of the machine for `report`, else of the service
  int cpu = 0, memory = 0;     ///< as reported, whole per cent
  std::uint32_t open = 0, busy = 0;  ///< our connections
};

/// One choice.
struct Decision {
  std::uint64_t number = 0;    ///< of the pool's choices: gaps show what was not kept
  TimePoint at{};
  std::string pool;
  Policy policy = Policy::weighted;
  Address chosen;
  std::size_t candidates = 0;         ///< that could have been chosen
  std::vector<Explained> considered;  ///< the best of them, the chosen one first
};

}  // namespace farol::proxy
