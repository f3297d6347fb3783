#include "transfer/transfer_socket.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "common/error.hpp"

namespace farol::transfer {
namespace {

constexpr std::size_t kLargestRead = 65535;
constexpr int kSendBuffer = 4 * 1024 * 1024;

/// Probing leaves DF set and takes no notice of what the kernel has learnt of the path: the protocol's datagrams are
/// small enough for any path, or its own probes find out.
void forbid_fragments(const UdpSocket& socket) {
  const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
  check("IP_MTU_DISCOVER", ::setsockopt(socket.fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof probe4));
  if (socket.family == AF_INET6)
    check("IPV6_MTU_DISCOVER", ::setsockopt(socket.fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6));
}

void try_option(const UdpSocket& socket, int level, int name, int value) {
  (void)::setsockopt(socket.fd.get(), level, name, &value, sizeof value);  // an older kernel: slower, not wrong
}

}  // namespace

/// What one recvmmsg fills: 1 MiB that is touched only as far as datagrams come.
struct TransferSocket::Buffers {
  std::array<std::array<std::uint8_t, kLargestRead>, kBatch> bytes;
  std::array<UdpControl, kBatch> control;
  std::array<SockAddr, kBatch> from;
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};

  void prepare() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {bytes[i].data(), bytes[i].size()};
      msghdr& header = messages[i].msg_hdr;
      header.msg_name = from[i].get();
      header.msg_namelen = sizeof(sockaddr_storage);
      header.msg_iov = &vectors[i];
      header.msg_iovlen = 1;
      header.msg_control = control[i].bytes.data();
      header.msg_controllen = control[i].bytes.size();
    }
  }
};

TransferSocket::TransferSocket(const Address& local)
    : socket_(open_udp(local)), buffers_(new Buffers) {  // not value-initialised: the pages stay untouched
  forbid_fragments(socket_);
  try_option(socket_, SOL_UDP, UDP_GRO, 1);
  try_option(socket_, SOL_SOCKET, SO_RXQ_OVFL, 1);
  try_option(socket_, SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  receive_buffer_ = widen_receive_buffer(socket_.fd, kReceiveBuffer);
}

TransferSocket::~TransferSocket() = default;
TransferSocket::TransferSocket(TransferSocket&&) noexcept = default;

std::size_t TransferSocket::send(const UdpPath& path, std::span<const std::uint8_t> bytes, std::size_t segment) {
  const std::size_t count = (bytes.size() + segment - 1) / segment;
  assert(count >= 1 && count <= kMaxBurst);
  if (!can_send(path, socket_.family)) return count;
  if (!segments_ && count > 1) return send_each(path, bytes, segment).dealt_with;
  switch (send_along(socket_, path, bytes, count > 1 ? static_cast<std::uint16_t>(segment) : 0)) {
    case SendResult::would_block:
      return 0;
    case SendResult::no_segments: {
      if (count == 1) return 1;
      const SendCount each = send_each(path, bytes, segment);
      segments_ = each.sent == 0;  // where the single ones fail as well, it was for another reason
      return each.dealt_with;
    }
    case SendResult::sent:
    case SendResult::failed:
      break;
  }
  return count;
}

SendCount TransferSocket::send_each(const UdpPath& path, std::span<const std::uint8_t> bytes, std::size_t segment) {
  std::array<iovec, kMaxBurst> data;
  std::array<mmsghdr, kMaxBurst> messages{};
  UdpControl control;
  SockAddr to = path.peer.for_family(socket_.family);
  std::size_t count = 0;
  for (std::size_t at = 0; at < bytes.size(); at += segment, ++count) {
    const auto one = bytes.subspan(at, std::min(segment, bytes.size() - at));
    data[count] = {const_cast<std::uint8_t*>(one.data()), one.size()};
    msghdr& message = messages[count].msg_hdr;
    message.msg_name = to.get();
    message.msg_namelen = to.size;
    message.msg_iov = &data[count];
    message.msg_iovlen = 1;
    write_notes(message, control, path, socket_.family);
  }
  return send_messages(socket_.fd, messages.data(), count);
}

std::size_t TransferSocket::receive(const std::function<void(Arrival&)>& take) {
  buffers_->prepare();
  const std::size_t got = receive_messages(socket_.fd, buffers_->messages.data(), kBatch);
  std::size_t datagrams = 0;
  for (std::size_t i = 0; i < got; ++i) {
    msghdr& header = buffers_->messages[i].msg_hdr;
    const UdpNotes notes = read_notes(header, socket_.bound.port());
    if (notes.drops) drops_ = *notes.drops;
    buffers_->from[i].size = header.msg_namelen;
    Arrival arrival{{Address::from(buffers_->from[i]), notes.local, notes.interface}, {}, notes.arrival};
    auto bytes = std::span(buffers_->bytes[i]).first(buffers_->messages[i].msg_len);
    const std::size_t segment = notes.segment != 0 ? notes.segment : std::max<std::size_t>(bytes.size(), 1);
    do {
      arrival.datagram = bytes.first(std::min(segment, bytes.size()));
      bytes = bytes.subspan(arrival.datagram.size());
      take(arrival);
      ++datagrams;
    } while (!bytes.empty());
  }
  return datagrams;
}

}  // namespace farol::transfer
