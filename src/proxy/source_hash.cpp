#include "proxy/source_hash.hpp"

#include <cmath>

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

/// How far down the client's list a back-end stands, smaller is nearer: −ln(u)/share is an exponential variable, and
/// the least of several is each one's with a probability in proportion to its share.
double distance(std::uint64_t identity, std::uint64_t client, double share) {
  const double u = (static_cast<double>(mix(identity ^ client) >> 11) + 0.5) * 0x1p-53;
  return -std::log(u) / share;
}

struct Totals {
  double share = 0, open = 0;
  bool equal = true;
};

Totals totals(const Candidates& candidates) {
  Totals all;
  double first = 0;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    if (candidates.key[i] == kNotNow) continue;
    if (all.share == 0) first = candidates.share[i];
    all.equal = all.equal && candidates.share[i] == first;
    all.share += candidates.share[i];
    all.open += candidates.open[i];
  }
  return all;
}

}  // namespace

std::optional<Pick> pick_by_source(const Candidates& candidates, std::uint64_t client) {
  const Totals all = totals(candidates);
  const double most_per_share = kMostLoad * (all.open + 1) / all.share;
  std::optional<std::size_t> chosen;
  double nearest = kNotNow;
  for (std::size_t i = 0; i < candidates.key.size(); ++i) {
    if (candidates.key[i] == kNotNow) continue;
    if (candidates.open[i] + 1 > std::ceil(most_per_share * candidates.share[i])) continue;
    // Among equal shares the hash itself has the same order, and costs no logarithm.
    const double far = all.equal ? static_cast<double>(~mix(candidates.identity[i] ^ client))
                                 : distance(candidates.identity[i], client, candidates.share[i]);
    if (chosen && far >= nearest) continue;
    chosen = i;
    nearest = far;
  }
  return chosen ? std::optional(Pick{*chosen, kNotNow}) : std::nullopt;
}

std::uint64_t source_hash(const Address& client) { return hash(client, 0); }
std::uint64_t identity_hash(const Address& backend) { return hash(backend, backend.port()); }

}  // namespace farol::proxy
