#include "common/inherited_sockets.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace farol {
namespace {

int int_option(const Fd& fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

Address bound_address(const Fd& fd) {
  SockAddr raw;
  return ::getsockname(fd.get(), raw.get(), &raw.size) == 0 ? Address::from(raw) : Address();
}

bool same_place(const Address& bound, const Address& wanted) {
  return bound == wanted || (bound.is_wildcard() && wanted.is_wildcard() && bound.port() == wanted.port());
}

bool is(const Fd& fd, int type, const Address& wanted) {
  if (int_option(fd, SO_TYPE) != type || (type == SOCK_STREAM && int_option(fd, SO_ACCEPTCONN) != 1)) return false;
  return same_place(bound_address(fd), wanted);
}

}  // namespace

std::vector<Fd> InheritedSockets::take_listeners(const Address& address) {
  const auto others = std::stable_partition(sockets_.begin(), sockets_.end(),
                                            [&](const Fd& fd) { return !is(fd, SOCK_STREAM, address); });
  std::vector<Fd> taken(std::make_move_iterator(others), std::make_move_iterator(sockets_.end()));
  sockets_.erase(others, sockets_.end());
  return taken;
}

Fd InheritedSockets::take_udp(const Address& address) {
  const auto found =
      std::find_if(sockets_.begin(), sockets_.end(), [&](const Fd& fd) { return is(fd, SOCK_DGRAM, address); });
  if (found == sockets_.end()) return {};
  Fd taken = std::move(*found);
  sockets_.erase(found);
  return taken;
}

std::optional<Address> InheritedSockets::in_the_way_of(const Address& address) const {
  if (giver_ != Giver::predecessor) return std::nullopt;
  for (const Fd& fd : sockets_)
    if (int_option(fd, SO_TYPE) == SOCK_STREAM && overlap(bound_address(fd), address)) return bound_address(fd);
  return std::nullopt;
}

std::optional<std::string> InheritedSockets::left_over() const {
  if (sockets_.empty()) return std::nullopt;
  const Address address = bound_address(sockets_.front());
  const int type = int_option(sockets_.front(), SO_TYPE);
  if (address.family() == AF_UNSPEC || (type != SOCK_STREAM && type != SOCK_DGRAM)) return "a descriptor of another kind";
  return (type == SOCK_STREAM ? "TCP " : "UDP ") + address.text();
}

}  // namespace farol
