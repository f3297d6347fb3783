#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/snapshot.hpp"
#include "common/udp.hpp"
#include "monitoring/key_ring.hpp"
#include "monitoring/packet.hpp"

namespace farol::monitoring {

/// A packet with where it comes from or goes to (the report's PacoteMonitorizacao).
struct Envelope {
  Packet packet;
  Address peer;
  Address local;           ///< our address it arrived at or must leave from; unspecified: the kernel chooses
  unsigned interface = 0;  ///< index of the interface it arrived at; when sent, only link-local addresses need it
  TimePoint arrival{};     ///< received only: the kernel's time stamp, on the monotonic clock
};

/// Something arrived that is no packet for us.
struct Dropped {
  DropReason reason;
  Address peer;
};

using Received = std::variant<Envelope, Dropped>;

/// The report's SocketMonitorizacao (3.1, 3.2): carries packets, signed on the way out and verified on the way in,
/// over a dual-stack UDP socket. Replaceable: nothing above it knows of datagrams or keys.
/// Thread safety: one thread receives; any thread sends and changes the keys.
class MonitoringSocket {
 public:
  /// Which end of the protocol this is: decides the direction that is signed and the one that is verified.
  enum class End { agent, proxy };

  /// Without a port of its own: the kernel chooses one. Throws as below.
  MonitoringSocket(End end, const KeyRing& keys);
  /// On `port` of all addresses, IPv6 and IPv4 (IPv4 alone on a machine without IPv6).
  MonitoringSocket(End end, const KeyRing& keys, std::uint16_t port);
  /// On an address. Throws std::system_error ("bind 127.0.0.1:5555: Address already in use").
  MonitoringSocket(End end, const KeyRing& keys, const Address& local);
  /// On a socket that is there already.
  MonitoringSocket(End end, const KeyRing& keys, UdpSocket socket);

  /// Signs and verifies with these from now on.
  void change_keys(KeyRing keys) { keys_.set(std::move(keys)); }

  [[nodiscard]] std::size_t keys() const { return keys_.get()->size(); }

  /// Sends; false when the kernel would not (no route, buffer full): the protocol treats that as a lost packet.
  bool send(const Envelope& envelope) const;

  /// The next datagram waiting, or nothing (never blocks: wait on fd() first).
  std::optional<Received> receive();

  [[nodiscard]] int fd() const { return socket_.fd.get(); }
  /// What it is bound to, with the port that the kernel chose where it was asked to.
  [[nodiscard]] Address local_address() const { return socket_.bound; }

 private:
  [[nodiscard]] Received judge(const PacketBytes& bytes, Envelope&& arrived) const;

  const End end_;
  Snapshot<KeyRing> keys_;
  UdpSocket socket_;
};

}  // namespace farol::monitoring
