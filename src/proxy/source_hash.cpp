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

/// The one with the least distance among those that have room.
template <typename HasRoom, typename Distance>
std::optional<std::size_t> nearest(std::size_t size, HasRoom has_room, Distance distance_of) {
  std::optional<std::size_t> chosen;
  decltype(distance_of(0)) least{};
  for (std::size_t i = 0; i < size; ++i) {
    if (!has_room(i)) continue;
    const auto far = distance_of(i);
    if (chosen && far >= least) continue;
    chosen = i;
    least = far;
  }
  return chosen;
}

}  // namespace

std::optional<Pick> pick_by_source(const Candidates& candidates, std::uint64_t client) {
  const Totals all = totals(candidates);
  const double most_per_share = kMostLoad * (all.open + 1) / all.share;
  // With one more it may have the bound rounded up, so that somebody always has room.
  const auto has_room = [&](std::size_t i) {
    return candidates.key[i] != kNotNow && candidates.open[i] < most_per_share * candidates.share[i];
  };
  // Among equal shares the hash itself has the same order, and costs no logarithm.
  const auto chosen = all.equal ? nearest(candidates.key.size(), has_room, [&](std::size_t i) {
                                    return ~mix(candidates.identity[i] ^ client);
                                  })
                                : nearest(candidates.key.size(), has_room, [&](std::size_t i) {
                                    return distance(candidates.identity[i], client, candidates.share[i]);
                                  });
  return chosen ? std::optional(Pick{*chosen, kNotNow}) : std::nullopt;
}

std::uint64_t source_hash(const Address& client) { return hash(client, 0); }
std::uint64_t identity_hash(const Address& backend) { return hash(backend, backend.port()); }

}  // namespace farol::proxy
