#pragma once

#include <cstdint>
#include <string>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"

namespace farol::monitor {

/// What the kernel says about the TCP sockets of the service port.
struct ServiceSockets {
  std::uint32_t established = 0;  ///< established connections whose local port is the service's
  bool listening = true;          ///< something listens on it, on whatever address
};

/// Counts the sockets of one local port, IPv4 and IPv6, by asking the kernel (sock_diag(7)), which filters by port and
/// state itself. A dump looks at every socket of the machine, so its result is kept: a second, or longer when dumps
/// would otherwise take more than kCostLimit of a core.
/// Where the kernel refuses, nothing is counted, the service passes for listening, and one warning says so.
/// Not thread-safe: belongs to the thread that answers probes. Borrows `log`, which must outlive it.
class TcpCounter {
 public:
  static constexpr Duration kFresh = std::chrono::seconds(1);
  static constexpr double kCostLimit = 0.005;

  TcpCounter(std::uint16_t service_port, const Logger& log) : port_(service_port), log_(log) {}

  ServiceSockets count(TimePoint now);
  /// Whether something listens, asked anew: a table of its own in the kernel, and a small one.
  bool listening();

 private:
  ServiceSockets dump(bool with_established);
  std::uint32_t dump(std::uint8_t family, std::uint32_t states);

  const std::uint16_t port_;
  const Logger& log_;
  Fd netlink_;
  std::uint32_t sequence_ = 0;
  ServiceSockets last_;
  TimePoint fresh_until_ = TimePoint::min();
  std::string refusal_;  ///< why the kernel would not, as last logged
};

}  // namespace farol::monitor
