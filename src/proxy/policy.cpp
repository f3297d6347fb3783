#include "proxy/policy.hpp"

#include "proxy/least_connections.hpp"
#include "proxy/lowest_key.hpp"
#include "proxy/round_robin.hpp"
#include "proxy/source_hash.hpp"

namespace farol::proxy {

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::weighted: return "weighted";
    case Policy::report: return "report";
    case Policy::least_connections: return "least-connections";
    case Policy::round_robin: return "round-robin";
    case Policy::source_hash: return "source-hash";
  }
  return "?";
}

std::optional<Pick> choose(Policy policy, const Candidates& candidates, double tie, std::uint64_t client) {
  switch (policy) {
    case Policy::weighted: return pick_lowest(candidates, tie);
    case Policy::report: return pick_lowest(candidates, 0);
    case Policy::least_connections: return pick_least_connections(candidates);
    case Policy::round_robin: return pick_round_robin(candidates);
    case Policy::source_hash: return pick_by_source(candidates, client);
  }
  return std::nullopt;
}

}  // namespace farol::proxy
