#include "common/socket_option.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/channel.hpp"

namespace farol {
namespace {

/// One question may be a moment old, or be lost: it takes two without an answer. While bytes wait for a closed
/// window the kernel asks more and more seldom, and answers are rationed: it takes three.
constexpr int kQuestions = 2, kWindowProbes = 3;

/// TCP_CLOSE: only the C library's header names it.
constexpr int kClosed = 7;

void set_seconds(const Fd& socket, int option, Duration value) {
  constexpr std::int64_t most = 32767;  // the kernel's
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value).count();
  const int whole = static_cast<int>(std::clamp<std::int64_t>(seconds, 1, most));
  ::setsockopt(socket.get(), IPPROTO_TCP, option, &whole, sizeof whole);
}

}  // namespace

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

/// The time until the first probe comes last: setting it makes the kernel count from the peer's last sign of life.
void probe_when_idle(const Fd& socket, Duration limit) {
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  set_seconds(socket, TCP_KEEPINTVL, limit / 6);
  set_seconds(socket, TCP_KEEPIDLE, limit / 2);
}

Silence silence_of(const Fd& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  if (info.tcpi_state == kClosed) return {};  // nobody is left to answer, and whoever uses the socket is told
  Silence silence;
  silence.lasts = std::chrono::milliseconds(std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv));
  if (info.tcpi_unacked > 0)
    silence.unanswered = info.tcpi_retransmits >= kQuestions;
  else
    silence.unanswered = info.tcpi_probes >= (info.tcpi_notsent_bytes > 0 ? kWindowProbes : kQuestions);
  return silence;
}

ConnectStart start_connect(const Fd& socket, const Address& target) {
  const SockAddr raw = target.raw();
  if (::connect(socket.get(), raw.get(), raw.size) == 0) return ConnectStart::done;
  if (errno == EINPROGRESS) return ConnectStart::pending;
  switch (connect_error(errno)) {
    case ConnectResult::no_resources: return ConnectStart::no_resources;
    case ConnectResult::refused: return ConnectStart::refused;
    default: return ConnectStart::unreachable;
  }
}

}  // namespace farol
