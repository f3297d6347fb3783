#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol {

/// What every UDP protocol here asks of a socket: dual stack, answers that leave from the address that was asked,
/// arrival times by the kernel. Any thread, unless it says otherwise.

/// The two ends of a datagram's way.
struct UdpPath {
  Address peer;
  Address local;           ///< our address it arrived at or must leave from; unspecified: the kernel chooses
  unsigned interface = 0;  ///< index of the interface it arrived at; when sent, only link-local addresses need it
};

struct UdpSocket {
  Fd fd;
  int family = 0;  ///< the socket's own: AF_INET6 when dual stack
  Address bound;   ///< with the port that the kernel chose where it was asked to
};

/// Non-blocking; the IPv6 wildcard is dual stack, or IPv4 alone on a machine without IPv6. Arrival times and local
/// addresses are recorded. Throws std::system_error ("bind 127.0.0.1:5555: Address already in use").
UdpSocket open_udp(const Address& local);
/// The same for a socket that is bound already. Throws std::system_error.
UdpSocket adopt_udp(Fd bound);
/// The same failure for who started the program, with the way out: `if_taken`, or what to try where low ports are kept.
StartError udp_start_error(const Address& local, const std::system_error& error, std::string_view if_taken,
                           std::string_view try_instead);

/// Asks for a receive buffer of so many bytes, beyond the system's limit when we may. Returns what there is now.
std::size_t widen_receive_buffer(const Fd& socket, int bytes);

/// Room for the control messages of one datagram.
struct UdpControl {
  alignas(cmsghdr) std::array<std::byte, 256> bytes;
};

/// What the control messages of a received datagram say.
struct UdpNotes {
  TimePoint arrival;  ///< the kernel's time stamp, on the monotonic clock
  Address local;
  unsigned interface = 0;
  unsigned segment = 0;                ///< UDP_GRO: the bytes are datagrams of this size; 0: one datagram
  std::optional<std::uint32_t> drops;  ///< SO_RXQ_OVFL: datagrams that the buffer had no room for, ever
};
UdpNotes read_notes(msghdr& received, std::uint16_t local_port);

/// Puts control messages behind a datagram to send: that it leaves from path.local, where that is one address, and that
/// its bytes are datagrams of `segment` bytes each (UDP_SEGMENT; 0: one datagram).
void write_notes(msghdr& message, UdpControl& control, const UdpPath& path, int family, std::uint16_t segment = 0);

/// Whether a socket of that family can send along this path at all.
bool can_send(const UdpPath& path, int family);

enum class SendResult {
  sent,
  would_block,
  no_segments,  ///< this route cannot cut the bytes into datagrams: send them one by one
  failed,       ///< no route, too large …: as good as lost
};
/// Sends `bytes` along a path that can_send(), as one datagram or as datagrams of `segment` bytes each.
SendResult send_along(const UdpSocket& socket, const UdpPath& path, std::span<const std::uint8_t> bytes,
                      std::uint16_t segment = 0);
struct SendCount {
  std::size_t dealt_with = 0;  ///< fewer than there are: the next would block
  std::size_t sent = 0;        ///< of them; the others failed and are as good as lost
};
/// Sends as many of these as the kernel takes now, each a datagram.
SendCount send_messages(const Fd& socket, mmsghdr* messages, std::size_t count);

/// Receives into as many messages as are waiting, at least one. 0: nothing is there. Errors about what was sent before
/// (ICMP) are read away.
std::size_t receive_messages(const Fd& socket, mmsghdr* messages, std::size_t count);

}  // namespace farol
