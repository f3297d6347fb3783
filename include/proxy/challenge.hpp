#pragma once

#include <cstdint>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "monitoring/key_ring.hpp"

namespace farol::proxy {

/// The stateless nonce with which an unknown source is asked to prove itself (as SYN cookies, RFC 4987 3.6): an HMAC of
/// the source and an 8 s time slot under a secret drawn at start. No memory is spent before the right answer comes.
/// Constant after construction; any thread.
class Challenge {
 public:
  static constexpr auto kSlot = std::chrono::seconds(8);

  Challenge() : secret_(monitoring::random_key()) {}
  [[nodiscard]] std::uint64_t nonce(const Address& source, TimePoint now) const { return at_slot(source, slot(now)); }
  /// True for a nonce given to this source in this or the previous slot.
  [[nodiscard]] bool valid(std::uint64_t nonce, const Address& source, TimePoint now) const {
    const std::uint64_t current = slot(now);
    return nonce == at_slot(source, current) || nonce == at_slot(source, current - 1);
  }

 private:
  static std::uint64_t slot(TimePoint now) { return static_cast<std::uint64_t>(now.time_since_epoch() / kSlot); }
  [[nodiscard]] std::uint64_t at_slot(const Address& source, std::uint64_t slot) const;

  const monitoring::KeyRing::Key secret_;
};

}  // namespace farol::proxy
