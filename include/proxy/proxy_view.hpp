#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// An operator's, for one back-end.
struct Order {
  AdminState state = AdminState::ready;
  std::optional<Duration> close_over = {};  ///< its connections are closed, spread over so long; none: they may stay
  std::string by = {};                      ///< where it came from
};

struct UpgradeOutcome {
  std::int64_t process = 0;  ///< that serves now; 0: none does
  std::string failure;       ///< why
};

struct Decision;

/// What the admin API asks of the proxy. Implemented in main over the table and the engine; any thread.
class ProxyView {
 public:
  virtual ~ProxyView() = default;
  [[nodiscard]] virtual ProxyStatus status() const = 0;
  /// Choices of late, the newest first.
  [[nodiscard]] virtual std::vector<Decision> decisions() const = 0;
  enum class Change { done, unknown_backend, ambiguous };
  /// `backend` is "address:port" with "/pool" behind it where that is not unique.
  virtual Change set_state(const std::string& backend, const Order& order) = 0;
  /// Lets a new process of the program follow this one. Returns when that serves, or does not.
  virtual UpgradeOutcome upgrade() = 0;
};

}  // namespace farol::proxy
