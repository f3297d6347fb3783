// A stretch of network that takes its time: forwards UDP between file servers and one gateway, every datagram a fixed
// time after it arrived. For kernels without netem.
//   delay_relay PORT GATEWAY-PORT ONE-WAY-DELAY-US
// All on 127.0.0.1. Servers talk to PORT; each of them reaches the gateway from a socket of its own. TERM ends it, and
// it says in a line of JSON what it carried, what it lost and how late datagrams left.

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "transfer/transfer_socket.hpp"

namespace farol::transfer {
namespace {

constexpr std::uint32_t kLoopback = 0x7f000001;
constexpr std::size_t kLargestBurst = 65000;

volatile std::sig_atomic_t over = 0;

/// Datagrams that one read brought together, for one receiver: they leave together, in one system call.
struct Burst {
  TimePoint due;
  TransferSocket* out;
  Address to;
  std::size_t segment;
  std::vector<std::uint8_t> bytes{};

  [[nodiscard]] std::size_t count() const { return (bytes.size() + segment - 1) / segment; }

  /// All but the last datagram have the same size.
  [[nodiscard]] bool has_room(std::size_t datagram) const {
    return datagram <= segment && bytes.size() % segment == 0 && count() < TransferSocket::kMaxBurst &&
           bytes.size() + datagram <= kLargestBurst;
  }
};

class Relay {
 public:
  Relay(std::uint16_t port, std::uint16_t gateway_port, Duration delay)
      : front_(Address::ipv4(kLoopback, port)), gateway_(Address::ipv4(kLoopback, gateway_port)), delay_(delay) {}

  /// Until TERM. A pass reads once from each socket, so that nobody's flood delays what is due.
  void run() {
    while (over == 0) {
      wait();
      front_.receive([this](Arrival& a) { queue(to_gateway_, a, server(a.path.peer), gateway_); });
      for (auto& [address, socket] : servers_)
        socket.receive([&, to = address](Arrival& a) { queue(to_servers_, a, front_, to); });
      send_due(to_gateway_);
      send_due(to_servers_);
    }
  }

  /// `real_time`: whether it never had to wait for a processor.
  void tell(bool real_time) {
    std::uint64_t lost = unsent_ + front_.drops();
    for (const auto& [address, socket] : servers_) lost += socket.drops();
    std::sort(late_us_.begin(), late_us_.end());
    const auto late = [this](double share) {
      return late_us_.empty() ? 0 : late_us_[static_cast<std::size_t>(share * double(late_us_.size() - 1))];
    };
    fmt::print("{{\"datagrams\": {}, \"lost\": {}, \"late_p50_us\": {:.1f}, \"late_p99_us\": {:.1f}, ", datagrams_,
               lost, late(.5), late(.99));
    fmt::print("\"real_time\": {}}}\n", real_time);
  }

 private:
  using Queue = std::deque<Burst>;  // one for each direction: in the order of arrival, and so of what is due

  TransferSocket& server(const Address& address) {
    const auto found = servers_.find(address);
    if (found != servers_.end()) return found->second;
    return servers_.emplace(address, TransferSocket(Address::ipv4(kLoopback, 0))).first->second;
  }

  void queue(Queue& waiting, const Arrival& arrival, TransferSocket& out, const Address& to) {
    const auto data = arrival.datagram;
    if (data.empty()) return;  // TransferSocket cannot send these, and neither protocol here needs them
    const TimePoint due = arrival.at + delay_;
    if (waiting.empty() || waiting.back().due != due || waiting.back().out != &out || waiting.back().to != to ||
        !waiting.back().has_room(data.size())) {
      waiting.push_back({due, &out, to, data.size()});
      waiting.back().bytes.reserve(std::min(kLargestBurst, TransferSocket::kMaxBurst * data.size()));
    }
    waiting.back().bytes.insert(waiting.back().bytes.end(), data.begin(), data.end());
  }

  void send_due(Queue& waiting) {
    for (TimePoint now = Clock::now(); !waiting.empty() && waiting.front().due <= now; waiting.pop_front()) {
      const Burst& burst = waiting.front();
      const std::size_t sent = burst.out->send({burst.to, {}, 0}, burst.bytes, burst.segment);
      datagrams_ += sent;
      unsent_ += burst.count() - sent;
      late_us_.push_back(1e6 * to_seconds(now - burst.due));
    }
  }

  /// Until something arrives or is due, or TERM comes.
  void wait() {
    std::vector<pollfd> polled{{front_.fd(), POLLIN, 0}};
    for (const auto& [address, socket] : servers_) polled.push_back({socket.fd(), POLLIN, 0});
    TimePoint due = Clock::now() + std::chrono::milliseconds(500);
    for (const Queue* waiting : {&to_gateway_, &to_servers_})
      if (!waiting->empty()) due = std::min(due, waiting->front().due);
    const auto left = std::max(Duration::zero(), due - Clock::now());
    const timespec limit{0, std::chrono::nanoseconds(left).count()};
    sigset_t none;
    sigemptyset(&none);
    (void)::ppoll(polled.data(), polled.size(), &limit, &none);
  }

  TransferSocket front_;
  const Address gateway_;
  const Duration delay_;
  std::map<Address, TransferSocket> servers_;
  Queue to_gateway_, to_servers_;
  std::uint64_t datagrams_ = 0, unsent_ = 0;
  std::vector<double> late_us_;  ///< of each burst
};

int run(const char* const* words) {
  const auto port = [&](int i) { return static_cast<std::uint16_t>(std::stoul(words[i])); };
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, nullptr);  // but while it waits
  std::signal(SIGTERM, [](int) { over = 1; });
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const sched_param priority{10};  // a network does not wait until the machines at its ends have a processor to spare
  const bool real_time = ::sched_setscheduler(0, SCHED_RR, &priority) == 0;
  Relay relay(port(1), port(2), std::chrono::microseconds(std::stoul(words[3])));
  relay.run();
  relay.tell(real_time);
  return 0;
}

}  // namespace
}  // namespace farol::transfer

int main(int argc, char** argv) try {
  if (argc != 4) return fmt::print(stderr, "usage: delay_relay PORT GATEWAY-PORT ONE-WAY-DELAY-US\n"), 64;
  return farol::transfer::run(argv);
} catch (const std::exception& error) {
  fmt::print(stderr, "delay_relay: {}\n", error.what());
  return 1;
}
