#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "monitoring/monitoring_socket.hpp"

namespace farol::monitor {

/// When a Register is due at each proxy, and what its probes told: a state machine without sockets or clock.
///
/// A Register goes out each interval (report 001, 2.1). It goes out every second while the proxy may not know us: until
/// its first probe, when no probe came for three times the usual gap between them, and after a probe that said
/// "leaving". Not thread-safe: Agent guards it.
class Registrations {
 public:
  static constexpr Duration kHurry = std::chrono::seconds(1);
  static constexpr Duration kAssumedGap = std::chrono::seconds(5);  ///< the proxy's default, until measured
  static constexpr int kSilentGaps = 3;

  explicit Registrations(Duration interval) : interval_(interval) {}

  /// The proxies from now on. Those that stay keep their state, new ones are due at once.
  void set_proxies(const std::vector<Address>& proxies, TimePoint now);
  [[nodiscard]] bool knows(const Address& proxy) const { return proxies_.contains(proxy); }

  /// What the operator should hear of, once: the proxy fell silent, or has not probed after kUnanswered Registers.
  enum class Trouble { none, silent, unanswered };
  static constexpr int kUnanswered = 10;

  /// A Register to send now.
  struct Due {
    Address proxy;
    Trouble trouble = Trouble::none;
  };
  /// Takes what is due; each is due again later.
  std::vector<Due> take_due(TimePoint now);
  /// When something is due next; kNever without proxies.
  [[nodiscard]] TimePoint next_due() const;

  enum class Prober { unknown, first_time, back, usual };
  /// Notes a probe. Unknown: it comes from no proxy of ours and must not be answered. Back: after a silence or a leave.
  Prober probed(const monitoring::Envelope& envelope, const monitoring::ProbeRequest& request);

  /// Where to say good-bye: to every proxy that probed, with the nonce of its last probe, from where that arrived.
  struct Farewell {
    monitoring::Envelope envelope;  ///< without a packet yet
    std::uint64_t nonce = 0;
  };
  [[nodiscard]] std::vector<Farewell> farewells() const;

 private:
  static constexpr std::size_t kGaps = 9;

  struct Proxy {
    TimePoint first_due{};
    TimePoint last_register{};
    TimePoint last_probe{};
    bool registered = false;  ///< last_register holds
    bool probed = false;      ///< last_probe, nonce and local hold
    bool leaving = false;
    bool silence_told = false;
    int unanswered = 0;                  ///< Registers sent before the first probe
    std::array<Duration, kGaps> gaps{};  ///< the last ones, in a ring
    std::size_t gaps_seen = 0;
    std::uint64_t nonce = 0;
    Address local;
    unsigned interface = 0;
  };
  static Duration usual_gap(const Proxy& proxy);
  static Trouble trouble_of(Proxy& proxy, TimePoint now);
  static TimePoint silent_from(const Proxy& proxy);
  [[nodiscard]] TimePoint due_at(const Proxy& proxy) const;

  const Duration interval_;
  std::map<Address, Proxy> proxies_;
};

}  // namespace farol::monitor
