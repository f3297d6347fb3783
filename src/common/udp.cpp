#include "common/udp.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <cstring>
#include <ctime>
#include <string>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr int kMostErrors = 64;                                // pending ICMP errors that one call skips
constexpr Duration kOldestArrival = std::chrono::seconds(60);  // anything older is a wall clock that was stepped

bool is_link_local(const Address& address) {
  return address.family() == AF_INET6 && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

void set_option(const Fd& fd, int level, int name, int value, const char* what) {
  check(what, ::setsockopt(fd.get(), level, name, &value, sizeof value));
}

Duration age_of(const timespec& stamp) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const Duration age =
      std::chrono::seconds(now.tv_sec - stamp.tv_sec) + std::chrono::nanoseconds(now.tv_nsec - stamp.tv_nsec);
  return age > Duration::zero() && age < kOldestArrival ? age : Duration::zero();
}

template <typename Info>
Info read(const cmsghdr* c) {
  Info info{};
  std::memcpy(&info, CMSG_DATA(c), sizeof info);
  return info;
}

Address address_of(const in6_pktinfo& info, std::uint16_t port) {
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  local.sin6_port = htons(port);
  local.sin6_addr = info.ipi6_addr;
  local.sin6_scope_id = info.ipi6_ifindex;
  SockAddr raw;
  std::memcpy(&raw.storage, &local, sizeof local);
  return Address::from(raw);
}

/// Appends one control message. REQUIRES: room.
template <typename Info>
void put(msghdr& message, UdpControl& control, int level, int type, const Info& info) {
  const std::size_t before = message.msg_controllen;
  message.msg_control = control.bytes.data();
  message.msg_controllen = before + CMSG_SPACE(sizeof info);
  auto* c = reinterpret_cast<cmsghdr*>(control.bytes.data() + before);
  std::memset(c, 0, CMSG_SPACE(sizeof info));
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
}

/// On a dual-stack socket Linux takes the IPv6 form for IPv4 too, with a mapped address. The interface is named for
/// link-local addresses alone: any other is for the routing table to choose.
void put_source(msghdr& message, UdpControl& control, const UdpPath& path, int family) {
  const SockAddr raw = path.local.for_family(family);
  if (family == AF_INET) {
    sockaddr_in source{};
    std::memcpy(&source, &raw.storage, sizeof source);
    in_pktinfo info{};
    info.ipi_spec_dst = source.sin_addr;
    return put(message, control, IPPROTO_IP, IP_PKTINFO, info);
  }
  sockaddr_in6 source{};
  std::memcpy(&source, &raw.storage, sizeof source);
  in6_pktinfo info{};
  info.ipi6_addr = source.sin6_addr;
  if (is_link_local(path.local)) info.ipi6_ifindex = path.interface;
  put(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

bool has_source(const UdpPath& path) {
  return path.local.family() != AF_UNSPEC && !path.local.is_wildcard();
}

}  // namespace

UdpSocket open_udp(const Address& local) {
  constexpr int kType = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  UdpSocket socket;
  socket.family = local.family();
  const bool dual_stack = socket.family == AF_INET6 && local.is_wildcard();
  socket.fd = Fd(::socket(socket.family, kType, 0));
  if (!socket.fd && dual_stack) {  // a machine without IPv6
    socket.family = AF_INET;
    socket.fd = Fd(::socket(socket.family, kType, 0));
  }
  check("UDP socket for " + local.text(), socket.fd.get());
  if (socket.family == AF_INET6) set_option(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1, "IPV6_V6ONLY");
  const SockAddr wanted = local.for_family(socket.family);
  check("bind " + local.text(), ::bind(socket.fd.get(), wanted.get(), wanted.size));
  return adopt_udp(std::move(socket.fd));
}

UdpSocket adopt_udp(Fd fd) {
  UdpSocket socket;
  socket.fd = std::move(fd);
  SockAddr bound;
  check("getsockname", ::getsockname(socket.fd.get(), bound.get(), &bound.size));
  socket.bound = Address::from(bound);
  socket.family = bound.get()->sa_family;
  const int flags = ::fcntl(socket.fd.get(), F_GETFL);
  check("fcntl", ::fcntl(socket.fd.get(), F_SETFL, flags | O_NONBLOCK));
  if (socket.family == AF_INET6)
    set_option(socket.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  else
    set_option(socket.fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  set_option(socket.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  return socket;
}

StartError udp_start_error(const Address& local, const std::system_error& error, std::string_view if_taken,
                           std::string_view try_instead) {
  const std::string port = std::to_string(local.port());
  if (error.code() == std::errc::address_in_use)
    return StartError("UDP " + port + " is taken (" + std::string(if_taken) + ")");
  if (error.code() == std::errc::permission_denied && local.port() < 1024)
    return StartError("UDP port " + port + " needs CAP_NET_BIND_SERVICE (try " + std::string(try_instead) + ")");
  const bool elsewhere = error.code() == std::errc::address_not_available;
  return StartError("cannot use UDP " + local.text() + ": " + error.code().message() +
                    (elsewhere ? " (this machine has no such address)" : ""));
}

std::size_t widen_receive_buffer(const Fd& socket, int bytes) {
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  int doubled = 0;
  socklen_t size = sizeof doubled;
  check("SO_RCVBUF", ::getsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &doubled, &size));
  return static_cast<std::size_t>(doubled) / 2;  // the kernel reports twice what was asked, for its overhead
}

UdpNotes read_notes(msghdr& received, std::uint16_t local_port) {
  UdpNotes notes;
  notes.arrival = Clock::now();
  for (cmsghdr* c = CMSG_FIRSTHDR(&received); c != nullptr; c = CMSG_NXTHDR(&received, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      notes.arrival -= age_of(read<timespec>(c));
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      notes.drops = read<std::uint32_t>(c);
    } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      notes.segment = static_cast<unsigned>(read<int>(c));
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      const auto info = read<in_pktinfo>(c);
      notes.local = Address::ipv4(ntohl(info.ipi_spec_dst.s_addr), local_port);
      notes.interface = static_cast<unsigned>(info.ipi_ifindex);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto info = read<in6_pktinfo>(c);
      notes.local = address_of(info, local_port);
      notes.interface = info.ipi6_ifindex;
    }
  }
  return notes;
}

void write_notes(msghdr& message, UdpControl& control, const UdpPath& path, int family, std::uint16_t segment) {
  message.msg_control = nullptr;
  message.msg_controllen = 0;
  if (has_source(path)) put_source(message, control, path, family);
  if (segment != 0) put(message, control, SOL_UDP, UDP_SEGMENT, segment);
}

bool can_send(const UdpPath& path, int family) {
  const int peer_family = path.peer.family();
  if (peer_family == AF_UNSPEC || (family == AF_INET && peer_family != AF_INET)) return false;
  return !has_source(path) || path.local.family() == peer_family;
}

SendResult send_along(const UdpSocket& socket, const UdpPath& path, std::span<const std::uint8_t> bytes,
                      std::uint16_t segment) {
  SockAddr to = path.peer.for_family(socket.family);
  iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  UdpControl control;
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.size;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  write_notes(message, control, path, socket.family, segment);
  if (retry_eintr([&] { return ::sendmsg(socket.fd.get(), &message, MSG_NOSIGNAL); }) >= 0) return SendResult::sent;
  switch (errno) {
    case EAGAIN:
    case ENOBUFS:
      return SendResult::would_block;
    case EIO:     // the device does not compute checksums, so the kernel will not cut
    case EINVAL:  // more segments than this kernel takes, or larger than the route's MTU
    case EMSGSIZE:
      return SendResult::no_segments;
    default:
      return SendResult::failed;
  }
}

SendCount send_messages(const Fd& socket, mmsghdr* messages, std::size_t count) {
  SendCount total;
  while (total.dealt_with < count) {
    const auto left = static_cast<unsigned>(count - total.dealt_with);
    const int sent =
        retry_eintr([&] { return ::sendmmsg(socket.get(), messages + total.dealt_with, left, MSG_NOSIGNAL); });
    if (sent >= 0) {
      total.dealt_with += static_cast<std::size_t>(sent);
      total.sent += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      break;
    } else {
      ++total.dealt_with;
    }
  }
  return total;
}

std::size_t receive_messages(const Fd& socket, mmsghdr* messages, std::size_t count) {
  for (int errors = 0; errors < kMostErrors; ++errors) {
    const int got = retry_eintr(
        [&] { return ::recvmmsg(socket.get(), messages, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr); });
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN) break;
  }
  return 0;
}

}  // namespace farol
