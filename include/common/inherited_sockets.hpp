#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/fd.hpp"

namespace farol {

/// Bound sockets that this process was given at its start, so that no client noticed it: by the service manager (socket
/// activation) or by the process that it follows. Whoever gave them has them as well, so they are not shut down. Each goes to the one that asks for its address. Not thread-safe: main's.
class InheritedSockets {
 public:
  InheritedSockets() = default;
  enum class Giver { service_manager, predecessor };
  explicit InheritedSockets(std::vector<Fd> sockets, Giver giver = Giver::service_manager)
      : sockets_(std::move(sockets)), giver_(giver) {}

  /// All TCP sockets that listen on this address: more than one share it (SO_REUSEPORT). The wildcard is one address,
  /// whatever its family.
  std::vector<Fd> take_listeners(const Address& address);
  /// The UDP socket that is bound to it; empty when there is none.
  Fd take_udp(const Address& address);
  /// Of a TCP socket of the process before, which nobody has taken and which keeps others from listening on `address`.
  [[nodiscard]] std::optional<Address> in_the_way_of(const Address& address) const;
  /// What nobody has taken: "TCP 0.0.0.0:80"; nothing when all have been.
  [[nodiscard]] std::optional<std::string> left_over() const;

 private:
  std::vector<Fd> sockets_;
  Giver giver_ = Giver::service_manager;
};

}  // namespace farol
