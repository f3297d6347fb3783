#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/clock.hpp"
#include "proxy/decision.hpp"

namespace farol::proxy {

/// The decisions of one pool that are remembered. Each kind has a ring and a budget of its own, so that a thousand
/// usual ones do not wash away the one that tells why a client was refused: the usual reasons are one kind, each other
/// reason is one. All of a kind are kept when there are few, some when there are many, for keeping one costs more than
/// making it. Its owner guards it.
class KeptDecisions {
 public:
  /// At most so many, and in the long run so many a second.
  static constexpr std::size_t kUsual = 64, kRare = 16;
  static constexpr double kUsualPerSecond = 10, kRarePerSecond = 0.5;

  /// Asked of each decision; true for one that is then to be handed to keep().
  bool wants(Reason reason, TimePoint now);
  void keep(Decision decision);
  [[nodiscard]] std::vector<Decision> newest_first() const;

 private:
  struct Ring {
    std::vector<Decision> kept;
    std::uint64_t count = 0;  ///< of all that were ever in it
    double spent = 0;         ///< of its budget, which comes back with time
    TimePoint asked{};
  };
  static bool is_usual(Reason reason) { return reason >= Reason::lowest && reason <= Reason::source_moved; }
  Ring& ring_of(Reason reason) { return rings_[static_cast<std::size_t>(is_usual(reason) ? Reason::lowest : reason)]; }

  std::array<Ring, kReasons> rings_;
};

}  // namespace farol::proxy
