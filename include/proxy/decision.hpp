#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "proxy/policy.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// Why this one, the weightiest first.
enum class Reason : std::uint8_t {
  last_resort,  ///< nobody better is left: it looks dead
  backup,       ///< no primary one can be chosen
  retry,        ///< another one refused this client before
  queued,       ///< the client had waited for one
  lowest,       ///< none has a lower score
  turn,         ///< its turn: among nearly equal ones, or by `round-robin`
  source,       ///< the client's own, by `source-hash`
  source_moved, ///< the next in the client's order: its own one is full or out
  nobody,       ///< none can be chosen now: the client waits, or is refused
};
inline constexpr std::size_t kReasons = 9;
const char* to_string(Reason reason);

/// What became of a back-end in a choice.
enum class Verdict : std::uint8_t {
  chosen,
  passed_over,   ///< it could have been chosen
  tried_before,  ///< it failed this client
  full,          ///< it has as many connections as it may
  backup,        ///< in reserve, while a primary one can be chosen
  unchecked, stale, down, ejected, drain, maint,  ///< its state keeps it out, as long as there is a better one
};
inline constexpr std::size_t kVerdicts = 11;
const char* to_string(Verdict verdict);

/// What a candidate looked like when a choice was made (report figure 5.10).
struct Explained {
  Address address;
  Verdict verdict = Verdict::passed_over;
  State state = State::new_;
  double score = 0;            ///< what the policy compared, or would have
  ScoreComponents components;  ///< what it is made of; all in `tcp` where only connections count
  double rtt_ms = 0;           ///< last sample
  std::uint32_t tcp = 0;       ///< as reported: of the machine for `report`, else of the service
  int cpu = 0, memory = 0;     ///< as reported, whole per cent
  std::optional<Duration> report_age;  ///< of the agent's figures
  double ramp = 1;             ///< below 1 in a slow start: the part of its weight that counts
  std::uint32_t open = 0, busy = 0;  ///< our connections
};

/// One choice, or the finding that there is nobody to choose.
struct Decision {
  std::uint64_t number = 0;    ///< of the pool's choices: gaps show what was not kept
  TimePoint at{};
  std::string pool;
  Policy policy = Policy::weighted;
  Address chosen;              ///< unspecified when nobody was
  Reason reason = Reason::lowest;
  std::size_t candidates = 0;         ///< that could have been chosen
  std::array<std::uint32_t, kVerdicts> verdicts{};  ///< how many back-ends of the pool met with each
  std::vector<Explained> considered;  ///< the chosen one, the best of the others, those left out: as many as fit
};

}  // namespace farol::proxy
