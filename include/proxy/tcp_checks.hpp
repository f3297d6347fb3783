#pragma once

#include <poll.h>

#include <cstdint>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"

namespace farol::proxy {

/// TCP connects that ask "does the service accept?", many at once, without waiting. Owned and used by the alarm thread
/// alone.
class TcpChecks {
 public:
  /// `unreachable`: no answer in time, or the network says so. `not_tried`: we had no socket or port for it, which says
  /// nothing of the service.
  enum class Outcome { accepted, refused, unreachable, not_tried };
  struct Result {
    std::uint64_t backend = 0;
    Outcome outcome = Outcome::refused;
  };

  /// Starts one; its result comes from collect() by `deadline` at the latest.
  void start(std::uint64_t backend, const Address& service, TimePoint deadline);
  /// Adds the sockets to wait for (writable means: decided).
  void add_to(std::vector<pollfd>& set) const;
  /// The checks that are decided by now; their sockets are closed.
  std::vector<Result> collect(TimePoint now);
  [[nodiscard]] bool empty() const { return running_.empty() && decided_.empty(); }

 private:
  struct Running {
    std::uint64_t backend = 0;
    Fd socket;
    TimePoint deadline{};
  };
  std::vector<Running> running_;
  std::vector<Result> decided_;  ///< at once
};

}  // namespace farol::proxy
