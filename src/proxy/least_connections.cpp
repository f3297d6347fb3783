#include "proxy/least_connections.hpp"

#include "proxy/lowest_key.hpp"

namespace farol::proxy {

std::optional<Pick> pick_least_connections(const Candidates& candidates) { return pick_lowest(candidates, 0); }

}  // namespace farol::proxy
