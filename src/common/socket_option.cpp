#include "common/socket_option.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace farol {

int socket_error(const Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

std::uint64_t acknowledged_bytes(const Fd& socket) {
  tcp_info info{};  // the kernel's own, not the C library's: that one ends before the bytes
  socklen_t size = sizeof info;
  return ::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_acked : 0;
}

ConnectStart start_connect(const Fd& socket, const Address& target) {
  const SockAddr raw = target.raw();
  if (::connect(socket.get(), raw.get(), raw.size) == 0) return ConnectStart::done;
  return errno == EINPROGRESS ? ConnectStart::pending : ConnectStart::failed;
}

}  // namespace farol
