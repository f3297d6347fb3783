#pragma once

#include "common/address.hpp"
#include "proxy/policy.hpp"

namespace farol::proxy {

/// No back-end has more than so many times its share of all connections: the bound of "Consistent Hashing with Bounded
/// Loads" (Mirrokni, Thorup, Zadimoghaddam 2016) and the value that HAProxy advises for hash-balance-factor.
inline constexpr double kMostLoad = 1.25;

/// The same client goes to the same back-end: the one with the highest weighted hash of the pair (rendezvous hashing,
/// Thaler and Ravishankar 1998). When one comes or goes, only its own clients move. A client whose back-end is full goes
/// to the next in its own order. No table to rebuild: the choice looks at every back-end once.
std::optional<Pick> pick_by_source(const Candidates& candidates, std::uint64_t client);

/// How far a back-end of that share is from a client: the least is the client's own.
double source_distance(std::uint64_t identity, std::uint64_t client, double share);
/// Less far than that.
bool is_nearer(std::uint64_t identity, std::uint64_t client, double share, double distance);

/// Of the address without its port. Every proxy computes the same.
std::uint64_t source_hash(const Address& client);
/// Of address and port.
std::uint64_t identity_hash(const Address& backend);

}  // namespace farol::proxy
