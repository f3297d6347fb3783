#pragma once

#include "proxy/policy.hpp"

namespace farol::proxy {

/// Smooth weighted round-robin, as nginx does it: everyone is credited its share, the one with the most credit is chosen
/// and pays the sum of all shares. Shares 5, 1, 1 give a a b a c a a, not a a a a a b c.
std::optional<Pick> pick_round_robin(const Candidates& candidates);

}  // namespace farol::proxy
