#include "monitoring/monitoring_socket.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>
#include <ctime>

#include "common/error.hpp"

namespace farol::monitoring {
namespace {

constexpr int kReceiveBuffer =
    4 * 1024 * 1024;             // bursts: 10 000 back-ends answering at once, with the kernel's overhead
constexpr int kMostErrors = 64;  // pending ICMP errors that one receive() skips
constexpr Duration kOldestArrival = std::chrono::seconds(60);  // anything older is a wall clock that was stepped

using Control = std::array<std::byte, 256>;

bool is_link_local(const Address& address) {
  return address.family() == AF_INET6 && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

bool is_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return retry_eintr([&] { return ::poll(&waiting, 1, 0); }) > 0;
}

void set_option(int fd, int level, int name, int value, const char* what) {
  check(what, ::setsockopt(fd, level, name, &value, sizeof value));
}

/// Beyond the system's limit when we may, up to it otherwise; a smaller buffer only loses packets earlier.
void widen_receive_buffer(int fd) {
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
}

/// Where a datagram arrived and when, from its control messages.
void read_control(msghdr& message, Envelope& to, std::uint16_t port) {
  to.arrival = Clock::now();
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp{}, now{};
      std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
      ::clock_gettime(CLOCK_REALTIME, &now);
      const Duration age =
          std::chrono::seconds(now.tv_sec - stamp.tv_sec) + std::chrono::nanoseconds(now.tv_nsec - stamp.tv_nsec);
      if (age > Duration::zero() && age < kOldestArrival) to.arrival -= age;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      to.local = Address::ipv4(ntohl(info.ipi_spec_dst.s_addr), port);
      to.interface = static_cast<unsigned>(info.ipi_ifindex);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      sockaddr_in6 local{};
      local.sin6_family = AF_INET6;
      local.sin6_port = htons(port);
      local.sin6_addr = info.ipi6_addr;
      local.sin6_scope_id = info.ipi6_ifindex;
      SockAddr raw;
      std::memcpy(&raw.storage, &local, sizeof local);
      to.local = Address::from(raw);
      to.interface = info.ipi6_ifindex;
    }
  }
}

template <typename Info>
void put_control(msghdr& message, Control& control, int level, int type, const Info& info) {
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
}

/// Makes a datagram leave from `local`. On a dual-stack socket Linux takes the IPv6 form for IPv4 too, with a mapped
/// address. The interface is named for link-local addresses alone: any other is for the routing table to choose.
void leave_from(msghdr& message, Control& control, const Envelope& envelope, int family) {
  const SockAddr raw = envelope.local.for_family(family);
  if (family == AF_INET) {
    sockaddr_in source{};
    std::memcpy(&source, &raw.storage, sizeof source);
    in_pktinfo info{};
    info.ipi_spec_dst = source.sin_addr;
    put_control(message, control, IPPROTO_IP, IP_PKTINFO, info);
    return;
  }
  sockaddr_in6 source{};
  std::memcpy(&source, &raw.storage, sizeof source);
  in6_pktinfo info{};
  info.ipi6_addr = source.sin6_addr;
  if (is_link_local(envelope.local)) info.ipi6_ifindex = envelope.interface;
  put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

bool is_for(MonitoringSocket::End end, const Packet& packet) {
  return std::holds_alternative<ProbeRequest>(packet) == (end == MonitoringSocket::End::agent);
}

}  // namespace

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys) : MonitoringSocket(end, keys, Address::any(0)) {}

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys, std::uint16_t port)
    : MonitoringSocket(end, keys, Address::any(port)) {}

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys, const Address& local)
    : end_(end), keys_(keys), family_(local.family()) {
  constexpr int kType = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const bool dual_stack = family_ == AF_INET6 && local.is_wildcard();
  fd_ = Fd(::socket(family_, kType, 0));
  if (!fd_ && dual_stack) {  // a machine without IPv6
    family_ = AF_INET;
    fd_ = Fd(::socket(family_, kType, 0));
  }
  check("UDP socket for " + local.text(), fd_.get());
  if (family_ == AF_INET6) {
    set_option(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1, "IPV6_V6ONLY");
    set_option(fd_.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  } else {
    set_option(fd_.get(), IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  }
  set_option(fd_.get(), SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  widen_receive_buffer(fd_.get());
  const SockAddr wanted = local.for_family(family_);
  check("bind " + local.text(), ::bind(fd_.get(), wanted.get(), wanted.size));
  SockAddr bound;
  check("getsockname", ::getsockname(fd_.get(), bound.get(), &bound.size));
  bound_ = Address::from(bound);
}

bool MonitoringSocket::send(const Envelope& envelope) const {
  const int peer_family = envelope.peer.family();
  const bool fixed_source = envelope.local.family() != AF_UNSPEC && !envelope.local.is_wildcard();
  if (peer_family == AF_UNSPEC || (family_ == AF_INET && peer_family != AF_INET)) return false;
  if (fixed_source && envelope.local.family() != peer_family) return false;

  PacketBytes bytes = encode(envelope.packet);
  keys_.sign(bytes, end_ == End::agent ? Direction::agent_to_proxy : Direction::proxy_to_agent);
  SockAddr to = envelope.peer.for_family(family_);
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.size;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fixed_source) leave_from(message, control, envelope, family_);
  return retry_eintr([&] { return ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL); }) ==
         static_cast<ssize_t>(bytes.size());
}

std::optional<Received> MonitoringSocket::receive() {
  for (int errors = 0; errors < kMostErrors; ++errors) {
    PacketBytes bytes;
    SockAddr from;
    alignas(cmsghdr) Control control;
    iovec data{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = from.get();
    message.msg_namelen = from.size;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = retry_eintr([&] { return ::recvmsg(fd_.get(), &message, 0); });
    if (size < 0) {
      // Nothing there, or an ICMP error about something we sent: reading has cleared it, and more may wait behind.
      if (is_readable(fd_.get())) continue;
      return std::nullopt;
    }
    Envelope arrived;
    arrived.peer = Address::from(from);
    if (size != static_cast<ssize_t>(kPacketSize) || (message.msg_flags & MSG_TRUNC) != 0)
      return Dropped{DropReason::size, arrived.peer};
    read_control(message, arrived, bound_.port());
    return judge(bytes, std::move(arrived));
  }
  return std::nullopt;
}

Received MonitoringSocket::judge(const PacketBytes& bytes, Envelope&& arrived) const {
  const auto drop = [&](DropReason reason) { return Dropped{reason, arrived.peer}; };
  if (!keys_.verify(bytes, end_ == End::proxy ? Direction::agent_to_proxy : Direction::proxy_to_agent))
    return drop(DropReason::mac);
  const auto decoded = decode(bytes);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return drop(*reason);
  arrived.packet = std::get<Packet>(decoded);
  if (!is_for(end_, arrived.packet)) return drop(DropReason::direction);
  return std::move(arrived);
}

}  // namespace farol::monitoring
