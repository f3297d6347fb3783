#pragma once

#include <cstdint>
#include <string>

#include "common/fd.hpp"
#include "common/log.hpp"

namespace farol::monitor {

/// What the kernel says about the TCP sockets of the service port.
struct ServiceSockets {
  std::uint32_t established = 0;  ///< established connections whose local port is the service's
  bool listening = true;          ///< something listens on it, on whatever address
};

/// Counts the sockets of one local port by asking the kernel (sock_diag(7)), which filters by port and state itself.
/// One question is for IPv4 and IPv6 together, as ss asks it: the newer kind of request looks at every socket of the
/// machine once for each.
/// Where the kernel refuses, nothing is counted, the service passes for listening, and one warning says so.
/// Not thread-safe. Borrows `log`, which must outlive it.
class TcpCounter {
 public:
  TcpCounter(std::uint16_t service_port, const Logger& log) : port_(service_port), log_(log) {}

  /// Looks at every socket of the machine: milliseconds, where there are many.
  ServiceSockets count();
  /// Only whether something listens: a table of its own in the kernel, and a small one.
  ServiceSockets listening();

 private:
  ServiceSockets ask(std::uint32_t states);
  ServiceSockets dump(std::uint32_t states);

  const std::uint16_t port_;
  const Logger& log_;
  Fd netlink_;
  std::uint32_t sequence_ = 0;
  std::string refusal_;  ///< why the kernel would not, as last logged
};

}  // namespace farol::monitor
