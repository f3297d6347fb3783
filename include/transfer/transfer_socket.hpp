#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "common/udp.hpp"
#include "transfer/packet.hpp"

namespace farol::transfer {

/// One datagram that arrived. Its bytes may be changed in place and are gone after the callback.
struct Arrival {
  UdpPath path;
  std::span<std::uint8_t> datagram;
  TimePoint at;  ///< by the kernel's time stamp: the time spent in our own buffer is no network delay
};

/// The UDP socket of both ends of the file protocol: dual stack, never fragmenting (DF set, RFC 8899), many datagrams
/// per system call in both directions (UDP_SEGMENT and UDP_GRO; udp(7), kernel 4.18 and 5.0). One thread.
class TransferSocket {
 public:
  /// Datagrams in one burst: below 64 KiB together, and below the 64 that older kernels take.
  static constexpr std::size_t kMaxBurst = 46;
  static constexpr int kReceiveBuffer = 4 * 1024 * 1024;

  /// Throws std::system_error ("bind 127.0.0.1:80: Address already in use").
  explicit TransferSocket(const Address& local);
  ~TransferSocket();
  TransferSocket(TransferSocket&&) noexcept;

  /// Sends `bytes` as datagrams of `segment` bytes, the last one perhaps shorter; at most kMaxBurst. Returns how many
  /// are dealt with: fewer than there are when the kernel has no room now (wait until the socket is writable). One that
  /// cannot be sent at all (no route, an MTU below ours) counts as dealt with: to the protocol it is lost.
  std::size_t send(const UdpPath& path, std::span<const std::uint8_t> bytes, std::size_t segment);
  /// One datagram. False when the kernel has no room now.
  bool send(const UdpPath& path, std::span<const std::uint8_t> datagram) {
    return send(path, datagram, datagram.size()) == 1;
  }

  /// Hands over what is waiting, up to a batch (kBatch buffers of 64 KiB); never blocks. Returns how many datagrams:
  /// 0 when nothing is there.
  std::size_t receive(const std::function<void(Arrival&)>& take);

  [[nodiscard]] int fd() const { return socket_.fd.get(); }
  [[nodiscard]] const Address& local_address() const { return socket_.bound; }
  /// What the kernel gave of kReceiveBuffer: less than that wants a warning, for it limits what can be in flight.
  [[nodiscard]] std::size_t receive_buffer() const { return receive_buffer_; }
  /// Datagrams that the buffer had no room for, as of the last one received. Our own slowness, no congestion.
  [[nodiscard]] std::uint32_t drops() const { return drops_; }
  /// Whether bursts still go out as one system call; false once a route has refused.
  [[nodiscard]] bool segments() const { return segments_; }
  /// For tests, and for whoever knows that the way is through a device that cannot.
  void send_one_by_one() { segments_ = false; }

 private:
  static constexpr std::size_t kBatch = 16;
  struct Buffers;

  SendCount send_each(const UdpPath& path, std::span<const std::uint8_t> bytes, std::size_t segment);

  UdpSocket socket_;
  std::size_t receive_buffer_ = 0;
  bool segments_ = true;
  std::uint32_t drops_ = 0;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace farol::transfer
