#include "proxy/source_hash.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace farol::proxy {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): each input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

std::uint64_t hash(const Address& address, std::uint16_t port) {
  std::uint64_t result = mix(static_cast<std::uint64_t>(address.family()) << 48 |
                             static_cast<std::uint64_t>(port) << 32 | address.scope());
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < address.bytes().size(); ++i) {
    word = word << 8 | address.bytes()[i];
    if (i % 8 == 7) result = mix(result ^ word);
  }
  return result;
}

/// A number from [0, 1) for each pair of back-end and client. The cast is to signed because that is one instruction.
double draw(std::uint64_t identity, std::uint64_t client) {
  return static_cast<double>(static_cast<std::int64_t>(mix(identity ^ client) >> 11)) * 0x1p-53;
}

/// −ln(1 − u)/share: an exponential variable, and the least of several is each one's with a probability in proportion to
/// its share.
double distance_of(double u, double share) { return -std::log(1 - u) / share; }

/// How many connections a back-end may have for each unit of its share before the next one. With one more it may have
/// the bound rounded up, so that somebody always has room.
double most_per_share(const Candidates& candidates) {
  const double *key = candidates.key.data(), *share = candidates.share.data();
  const std::uint32_t* open = candidates.open.data();
  double all_share = 0;
  std::uint64_t all_open = 1;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    if (key[i] == kNotNow) continue;
    all_share += share[i];
    all_open += open[i];
  }
  return kMostLoad * static_cast<double>(all_open) / all_share;
}

}  // namespace

/// Since −ln(1 − u) is at least u, few need the logarithm. Plain pointers, for a checked index would cost as much as the
/// draw.
std::optional<Pick> pick_by_source(const Candidates& candidates, std::uint64_t client) {
  const double most = most_per_share(candidates);
  const double *key = candidates.key.data(), *share = candidates.share.data();
  const std::uint64_t* identity = candidates.identity.data();
  std::optional<Pick> nearest;
  double least = std::numeric_limits<double>::infinity(), least_out = least;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    const double u = draw(identity[i], client);
    if (u >= least * share[i]) continue;
    if (key[i] == kNotNow || candidates.open[i] >= most * share[i]) {
      least_out = std::min(least_out, u / share[i]);  // at most its distance
      continue;
    }
    const double distance = distance_of(u, share[i]);
    if (distance >= least) continue;
    least = distance;
    nearest = Pick{i, kNotNow};
  }
  if (nearest) nearest->perhaps_moved = least_out < least;
  return nearest;
}

double source_distance(std::uint64_t identity, std::uint64_t client, double share) {
  return distance_of(draw(identity, client), share);
}

bool is_nearer(std::uint64_t identity, std::uint64_t client, double share, double distance) {
  const double u = draw(identity, client);
  return u < distance * share && distance_of(u, share) < distance;
}

std::uint64_t source_hash(const Address& client) { return hash(client, 0); }
std::uint64_t identity_hash(const Address& backend) { return hash(backend, backend.port()); }

}  // namespace farol::proxy
