// A piece of network that takes its time: forwards UDP between file servers and one gateway, each datagram after a
// fixed delay. The kernels at hand have no netem.
//   delay_relay <port> <gateway-port> <one-way-delay-us>
// On 127.0.0.1. Servers talk to <port>; each of them reaches the gateway from a socket of its own.

#include <poll.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <vector>

#include "transfer/transfer_socket.hpp"

namespace {

using namespace farol;
using transfer::Arrival;
using transfer::TransferSocket;

/// Datagrams of one size for one receiver, that came together.
struct Burst {
  TimePoint due;
  TransferSocket* out;
  Address to;
  std::size_t segment;
  std::size_t count;
  std::vector<std::uint8_t> bytes;
};

class Relay {
 public:
  Relay(std::uint16_t port, std::uint16_t gateway_port, Duration delay)
      : gateway_(Address::ipv4(0x7f000001, gateway_port)), front_(Address::ipv4(0x7f000001, port)), delay_(delay) {}

  [[noreturn]] void run() {
    for (;;) {
      wait();
      while (front_.receive([this](Arrival& a) { queue(a, server(a.path.peer), gateway_); }) > 0) {
      }
      for (auto& [address, socket] : servers_)
        while (socket.receive([&, to = address](Arrival& a) { queue(a, front_, to); }) > 0) {
        }
      send_due();
    }
  }

 private:
  TransferSocket& server(const Address& address) {
    const auto found = servers_.find(address);
    if (found != servers_.end()) return found->second;
    return servers_.emplace(address, TransferSocket(Address::ipv4(0x7f000001, 0))).first->second;
  }

  void queue(const Arrival& arrival, TransferSocket& out, const Address& to) {
    const auto& data = arrival.datagram;
    if (!waiting_.empty()) {
      Burst& last = waiting_.back();
      if (last.out == &out && last.to == to && data.size() <= last.segment && last.count < TransferSocket::kMaxBurst &&
          last.bytes.size() == last.count * last.segment &&
          arrival.at + delay_ - last.due < std::chrono::microseconds(50)) {
        last.bytes.insert(last.bytes.end(), data.begin(), data.end());
        ++last.count;
        return;
      }
    }
    waiting_.push_back({arrival.at + delay_, &out, to, data.size(), 1, {data.begin(), data.end()}});
  }

  void send_due() {
    const TimePoint now = Clock::now();
    for (; !waiting_.empty() && waiting_.front().due <= now; waiting_.pop_front()) {
      const Burst& burst = waiting_.front();
      (void)burst.out->send({burst.to, {}, 0}, burst.bytes, burst.segment);
    }
  }

  void wait() {
    std::vector<pollfd> polled{{front_.fd(), POLLIN, 0}};
    for (auto& [address, socket] : servers_) polled.push_back({socket.fd(), POLLIN, 0});
    timespec left{1, 0};
    if (!waiting_.empty()) {
      const auto ns = std::chrono::nanoseconds(waiting_.front().due - Clock::now()).count();
      left = {0, std::max<long>(0, ns)};
    }
    (void)::ppoll(polled.data(), polled.size(), &left, nullptr);
  }

  const Address gateway_;
  TransferSocket front_;
  const Duration delay_;
  std::map<Address, TransferSocket> servers_;
  std::deque<Burst> waiting_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("delay_relay <port> <gateway-port> <one-way-delay-us>\n", stderr), 64;
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const auto port = [&](int i) { return static_cast<std::uint16_t>(std::atoi(argv[i])); };
  Relay(port(1), port(2), std::chrono::microseconds(std::atoi(argv[3]))).run();
}
