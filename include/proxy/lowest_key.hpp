#pragma once

#include "proxy/policy.hpp"

namespace farol::proxy {

/// The least recently chosen among those whose key is within `tie` of the lowest. Two passes over contiguous memory,
/// without a branch that depends on the data: the whole cost of `weighted`, `report` and `least-connections`.
std::optional<Pick> pick_lowest(const Candidates& candidates, double tie);

}  // namespace farol::proxy
