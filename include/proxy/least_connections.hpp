#pragma once

#include "proxy/policy.hpp"

namespace farol::proxy {

/// HAProxy's leastconn, with the connection that is to be placed counted as well: an idle heavy back-end comes before
/// an idle light one. The key is (open + 1) / share, linear in what is open.
inline double connections_key(double open, double share) { return (open + 1) / share; }

/// Equal ones in turn.
std::optional<Pick> pick_least_connections(const Candidates& candidates);

}  // namespace farol::proxy
