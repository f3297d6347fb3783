#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "monitoring/packet.hpp"
#include "proxy/monitoring_status.hpp"

namespace farol::proxy {

/// What an operator has to know of datagrams that led to nothing: from whom the last one came that was dropped for each
/// reason, and who registers without answering a probe. Told and not believed: sources can be forged. Takes the same
/// memory however many they are. Owned by Membership; any thread.
class Strangers {
 public:
  static constexpr std::size_t kMostAgents = 16;  ///< of which the one that was silent longest makes room
  static constexpr Duration kForgottenAfter = std::chrono::minutes(10);

  void dropped(monitoring::DropReason reason, const Address& peer, TimePoint now);
  /// A Register of an agent that is not in the table.
  void challenged(const Address& agent, std::uint16_t service_port, TimePoint now);
  /// It answered, so whatever is wrong with it is known by other ways.
  void answered(const Address& agent);

  /// Adds them to a status, the agents in the order of their last Register.
  void fill(MonitoringStatus& status, TimePoint now) const;

 private:
  struct Drop {
    Address peer;
    TimePoint at{};
  };
  struct Agent {
    Address address;
    std::uint16_t service_port = 0;
    std::uint64_t registers = 0;
    TimePoint first{}, last{};
  };

  mutable Mutex mutex_;
  std::array<std::optional<Drop>, monitoring::kDropReasons> drops_ GUARDED_BY(mutex_);
  std::vector<Agent> agents_ GUARDED_BY(mutex_);  ///< the latest last
};

}  // namespace farol::proxy
