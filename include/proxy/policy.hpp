#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace farol::proxy {

/// Who gets the next connection.
enum class Policy {
  weighted,           ///< lowest live score; among nearly equal ones the least recently chosen
  report,             ///< the report's rule to the letter: lowest score wins; silent back-ends are left out
  least_connections,  ///< fewest connections for its weight
  round_robin,        ///< in turn, as often as its weight says
  source_hash,        ///< the same client to the same back-end, unless it has too many
};

inline constexpr Policy kPolicies[] = {Policy::weighted, Policy::report, Policy::least_connections,
                                       Policy::round_robin, Policy::source_hash};

std::string_view to_string(Policy policy);

/// Key of a back-end that is not to be chosen now.
inline constexpr double kNotNow = std::numeric_limits<double>::infinity();

/// A pool as a policy sees it: one entry for each back-end, at the same index in each array.
struct Candidates {
  std::span<const double> key;               ///< what the policy compares, lower is better; or kNotNow
  std::span<const std::uint64_t> chosen_at;  ///< a counter, larger = more recently; 0 = never
  std::span<const double> share;             ///< weight, reduced by slow start
  std::span<const std::uint32_t> open;       ///< our connections
  std::span<const std::uint64_t> identity;   ///< the same for a back-end in every proxy and at every start
  std::span<double> credit;                  ///< round-robin's memory
};

/// The chosen one, and how near the next was.
struct Pick {
  std::size_t index = 0;
  double runner_up = kNotNow;  ///< the lowest key among the others
  bool perhaps_moved = false;  ///< somebody nearer to the client may be there, but not to be chosen now (`source_hash`)
};

/// Applies a policy. `tie`: keys closer than this are equal (`weighted` only); `client`: a hash of its address
/// (`source_hash` only). Empty only when there is nobody. Pure, but for round-robin's credits.
std::optional<Pick> choose(Policy policy, const Candidates& candidates, double tie, std::uint64_t client);

}  // namespace farol::proxy
