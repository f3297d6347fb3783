#include "common/socket_option.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace farol {

int socket_error(const Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

ConnectStart start_connect(const Fd& socket, const Address& target) {
  const SockAddr raw = target.raw();
  if (::connect(socket.get(), raw.get(), raw.size) == 0) return ConnectStart::done;
  return errno == EINPROGRESS ? ConnectStart::pending : ConnectStart::failed;
}

}  // namespace farol
