#include "monitoring/monitoring_socket.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <utility>

namespace farol::monitoring {
namespace {

// Bursts: 10 000 back-ends answering at once, with the kernel's overhead.
constexpr int kReceiveBuffer = 4 * 1024 * 1024;

bool is_for(MonitoringSocket::End end, const Packet& packet) {
  return std::holds_alternative<ProbeRequest>(packet) == (end == MonitoringSocket::End::agent);
}

}  // namespace

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys) : MonitoringSocket(end, keys, Address::any(0)) {}

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys, std::uint16_t port)
    : MonitoringSocket(end, keys, Address::any(port)) {}

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys, const Address& local)
    : MonitoringSocket(end, keys, open_udp(local)) {}

MonitoringSocket::MonitoringSocket(End end, const KeyRing& keys, UdpSocket socket)
    : end_(end), keys_(keys), socket_(std::move(socket)) {
  widen_receive_buffer(socket_.fd, kReceiveBuffer);
}

bool MonitoringSocket::send(const Envelope& envelope) const {
  const UdpPath path{envelope.peer, envelope.local, envelope.interface};
  if (!can_send(path, socket_.family)) return false;

  PacketBytes bytes = encode(envelope.packet);
  keys_.get()->sign(bytes, end_ == End::agent ? Direction::agent_to_proxy : Direction::proxy_to_agent);
  return send_along(socket_, path, bytes) == SendResult::sent;
}

std::optional<Received> MonitoringSocket::receive() {
  PacketBytes bytes;
  SockAddr from;
  UdpControl control;
  iovec data{bytes.data(), bytes.size()};
  mmsghdr message{};
  message.msg_hdr.msg_name = from.get();
  message.msg_hdr.msg_namelen = from.size;
  message.msg_hdr.msg_iov = &data;
  message.msg_hdr.msg_iovlen = 1;
  message.msg_hdr.msg_control = control.bytes.data();
  message.msg_hdr.msg_controllen = control.bytes.size();
  if (receive_messages(socket_.fd, &message, 1) == 0) return std::nullopt;
  Envelope arrived;
  arrived.peer = Address::from(from);
  if (message.msg_len != kPacketSize || (message.msg_hdr.msg_flags & MSG_TRUNC) != 0)
    return Dropped{DropReason::size, arrived.peer};
  const UdpNotes notes = read_notes(message.msg_hdr, socket_.bound.port());
  arrived.local = notes.local;
  arrived.interface = notes.interface;
  arrived.arrival = notes.arrival;
  return judge(bytes, std::move(arrived));
}

Received MonitoringSocket::judge(const PacketBytes& bytes, Envelope&& arrived) const {
  const auto drop = [&](DropReason reason) { return Dropped{reason, arrived.peer}; };
  if (!keys_.get()->verify(bytes, end_ == End::proxy ? Direction::agent_to_proxy : Direction::proxy_to_agent))
    return drop(DropReason::mac);
  const auto decoded = decode(bytes);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return drop(*reason);
  arrived.packet = std::get<Packet>(decoded);
  if (!is_for(end_, arrived.packet)) return drop(DropReason::direction);
  return std::move(arrived);
}

}  // namespace farol::monitoring
