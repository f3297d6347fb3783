// Measures a delay_relay from its two ends: the round trip of a lone datagram, then how many bytes a second it carries
// from a server to the gateway when that is all there is to do. One thread plays both ends.
//   path_probe RELAY-PORT GATEWAY-PORT SECONDS
// SECONDS for each of the two. The result is a line of JSON.

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "transfer/transfer_socket.hpp"

namespace farol::transfer {
namespace {

constexpr std::uint32_t kLoopback = 0x7f000001;
constexpr std::size_t kWindow = 2000;  ///< datagrams on their way: what a receive buffer holds for certain
constexpr std::size_t kBurst = TransferSocket::kMaxBurst;

Address loopback(std::uint16_t port) {
  return Address::ipv4(kLoopback, port);
}

bool readable(const TransferSocket& socket, int ms) {
  pollfd polled{socket.fd(), POLLIN, 0};
  return ::poll(&polled, 1, ms) > 0;
}

class Probe {
 public:
  Probe(std::uint16_t relay_port, std::uint16_t gateway_port)
      : relay_{loopback(relay_port), {}, 0}, server_(loopback(0)), gateway_(loopback(gateway_port)) {}

  /// Microseconds, the shortest first.
  std::vector<double> round_trips(Duration length) {
    std::vector<double> found;
    for (const TimePoint end = Clock::now() + length; Clock::now() < end;) {
      const TimePoint began = Clock::now();
      server_.send(relay_, std::span(bytes_).first(kMaxDatagram));
      const Address back = receive_one(gateway_);
      gateway_.send({back, {}, 0}, std::span(bytes_).first(kMaxDatagram));
      (void)receive_one(server_);
      found.push_back(1e6 * to_seconds(Clock::now() - began));
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  /// Bytes per second that arrived; `lost_` counts the datagrams that did not.
  double flood(Duration length) {
    std::size_t on_their_way = 0, arrived = 0;
    const TimePoint began = Clock::now();
    while (Clock::now() < began + length) {
      while (on_their_way + kBurst <= kWindow) {
        server_.send(relay_, bytes_, kMaxDatagram);
        on_their_way += kBurst;
      }
      if (!readable(gateway_, 100)) {
        lost_ += std::exchange(on_their_way, 0);
        continue;
      }
      const std::size_t now = gateway_.receive([](Arrival&) {});
      arrived += now;
      on_their_way -= std::min(now, on_their_way);
    }
    return static_cast<double>(arrived * kMaxDatagram) / to_seconds(Clock::now() - began);
  }

  [[nodiscard]] std::size_t lost() const { return lost_; }

 private:
  /// The sender of the datagram that comes next.
  static Address receive_one(TransferSocket& socket) {
    Address from;
    if (!readable(socket, 2000)) throw std::runtime_error("a datagram did not come through the relay");
    socket.receive([&](Arrival& arrival) { from = arrival.path.peer; });
    return from;
  }

  const UdpPath relay_;
  TransferSocket server_, gateway_;
  const std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(kBurst * kMaxDatagram, 0x5a);
  std::size_t lost_ = 0;
};

int run(const char* const* words) {
  const auto port = [&](int i) { return static_cast<std::uint16_t>(std::stoul(words[i])); };
  Probe probe(port(1), port(2));
  const Duration length = from_seconds(std::stod(words[3]));
  const std::vector<double> rtt = probe.round_trips(length);
  const double rate = probe.flood(length);
  fmt::print("{{\"rtt_p50_us\": {:.1f}, \"rtt_p99_us\": {:.1f}, \"mb_per_s\": {:.1f}, \"lost\": {}}}\n",
             rtt[rtt.size() / 2], rtt[rtt.size() * 99 / 100], rate / 1e6, probe.lost());
  return 0;
}

}  // namespace
}  // namespace farol::transfer

int main(int argc, char** argv) try {
  if (argc != 4) return fmt::print(stderr, "usage: path_probe RELAY-PORT GATEWAY-PORT SECONDS\n"), 64;
  return farol::transfer::run(argv);
} catch (const std::exception& error) {
  fmt::print(stderr, "path_probe: {}\n", error.what());
  return 1;
}
