// A stretch of network that takes its time: forwards UDP between file servers and one gateway, every datagram a fixed
// time after it arrived. For kernels without netem.
//   delay_relay PORT GATEWAY-PORT ONE-WAY-DELAY-US
// All on 127.0.0.1. Servers talk to PORT; each of them reaches the gateway from a socket of its own. TERM ends it, and
// it says in a line of JSON what it carried, what it lost and how late datagrams left.

#include <fmt/format.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/udp.hpp"

namespace farol {
namespace {

constexpr std::uint32_t kLoopback = 0x7f000001;
constexpr std::size_t kBatch = 16;
constexpr int kBuffer = 4 * 1024 * 1024;

volatile std::sig_atomic_t over = 0;

using Block = std::array<std::uint8_t, 65536>;

/// A socket that takes and sends many datagrams of one size at once (UDP_GRO, UDP_SEGMENT).
struct Port {
  explicit Port(std::uint16_t number) : socket(open_udp(Address::ipv4(kLoopback, number))) {
    set(SOL_UDP, UDP_GRO, 1);
    set(SOL_SOCKET, SO_RXQ_OVFL, 1);
    set(SOL_SOCKET, SO_SNDBUF, kBuffer);
    widen_receive_buffer(socket.fd, kBuffer);
  }

  void set(int level, int name, int value) {
    check("setsockopt", ::setsockopt(socket.fd.get(), level, name, &value, sizeof value));
  }

  UdpSocket socket;
  std::uint32_t drops = 0;  ///< datagrams that the receive buffer had no room for
};

/// What one read brought from one sender, as the kernel put it together: it leaves together, too.
struct Burst {
  TimePoint due;
  const Port* out;
  Address to;
  unsigned segment;  ///< size of its datagrams, of which the last may be shorter; 0: it is one datagram
  std::size_t size;
  std::unique_ptr<Block> bytes;

  [[nodiscard]] std::size_t datagrams() const { return segment == 0 ? 1 : (size + segment - 1) / segment; }
};

bool send(const Burst& burst) {
  const auto segment = static_cast<std::uint16_t>(burst.datagrams() > 1 ? burst.segment : 0);
  const UdpPath path{burst.to, {}, 0};
  return send_along(burst.out->socket, path, std::span(*burst.bytes).first(burst.size), segment) == SendResult::sent;
}

class Relay {
 public:
  Relay(std::uint16_t port, std::uint16_t gateway_port, Duration delay)
      : front_(port), gateway_(Address::ipv4(kLoopback, gateway_port)), delay_(delay) {}

  /// Until TERM. A pass reads once from each socket, so that nobody's flood delays what is due.
  void run() {
    while (over == 0) {
      wait();
      read(front_, [this](Burst burst, const Address& from) {
        burst.out = &servers_.try_emplace(from, 0).first->second;
        burst.to = gateway_;
        to_gateway_.push_back(std::move(burst));
      });
      for (auto& [address, port] : servers_)
        read(port, [this, to = address](Burst burst, const Address&) {
          burst.out = &front_;
          burst.to = to;
          to_servers_.push_back(std::move(burst));
        });
      send_due(to_gateway_);
      send_due(to_servers_);
    }
  }

  /// `real_time`: whether it never had to wait for a processor.
  void tell(bool real_time) {
    std::uint64_t lost = unsent_ + front_.drops;
    for (const auto& [address, port] : servers_) lost += port.drops;
    std::sort(late_us_.begin(), late_us_.end());
    const auto late = [this](std::size_t percent) {
      return late_us_.empty() ? 0 : late_us_[(late_us_.size() - 1) * percent / 100];
    };
    fmt::print(
        "{{\"datagrams\": {}, \"lost\": {}, \"late_p50_us\": {:.1f}, \"late_p99_us\": {:.1f}, \"real_time\": {}}}\n",
        datagrams_, lost, late(50), late(99), real_time);
  }

 private:
  using Queue = std::deque<Burst>;  ///< one for each direction: in the order of arrival, and so of what is due

  template <typename Take>
  void read(Port& port, Take take) {
    std::array<SockAddr, kBatch> from;
    std::array<UdpControl, kBatch> control;
    std::array<iovec, kBatch> vectors;
    std::array<mmsghdr, kBatch> messages{};
    while (spares_.size() < kBatch) spares_.emplace_back(new Block);  // not make_unique: it would zero it
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {(spares_.end() - 1 - static_cast<std::ptrdiff_t>(i))->get()->data(), sizeof(Block)};
      msghdr& header = messages[i].msg_hdr;
      header = {from[i].get(), sizeof(sockaddr_storage), &vectors[i], 1, &control[i], sizeof(UdpControl), 0};
    }
    const std::size_t got = receive_messages(port.socket.fd, messages.data(), kBatch);
    for (std::size_t i = 0; i < got; ++i) {
      const UdpNotes notes = read_notes(messages[i].msg_hdr, port.socket.bound.port());
      port.drops = notes.drops.value_or(port.drops);
      from[i].size = messages[i].msg_hdr.msg_namelen;
      take({notes.arrival + delay_, nullptr, {}, notes.segment, messages[i].msg_len, std::move(spares_.back())},
           Address::from(from[i]));
      spares_.pop_back();
    }
  }

  void send_due(Queue& waiting) {
    for (TimePoint now = Clock::now(); !waiting.empty() && waiting.front().due <= now; waiting.pop_front()) {
      Burst& burst = waiting.front();
      (send(burst) ? datagrams_ : unsent_) += burst.datagrams();
      late_us_.push_back(1e6 * to_seconds(now - burst.due));
      spares_.push_back(std::move(burst.bytes));
    }
  }

  /// Until something arrives or is due, or TERM comes.
  void wait() {
    std::vector<pollfd> polled{{front_.socket.fd.get(), POLLIN, 0}};
    for (const auto& [address, port] : servers_) polled.push_back({port.socket.fd.get(), POLLIN, 0});
    TimePoint due = Clock::now() + std::chrono::milliseconds(500);
    for (const Queue* waiting : {&to_gateway_, &to_servers_})
      if (!waiting->empty()) due = std::min(due, waiting->front().due);
    const auto left = std::max(Duration::zero(), due - Clock::now());
    const timespec limit{0, std::chrono::nanoseconds(left).count()};
    sigset_t none;
    sigemptyset(&none);
    (void)::ppoll(polled.data(), polled.size(), &limit, &none);
  }

  Port front_;
  const Address gateway_;
  const Duration delay_;
  std::map<Address, Port> servers_;  ///< by their address: where each reaches the gateway from
  Queue to_gateway_, to_servers_;
  std::vector<std::unique_ptr<Block>> spares_;
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
}  // namespace farol

int main(int argc, char** argv) try {
  if (argc != 4) return fmt::print(stderr, "usage: delay_relay PORT GATEWAY-PORT ONE-WAY-DELAY-US\n"), 64;
  return farol::run(argv);
} catch (const std::exception& error) {
  fmt::print(stderr, "delay_relay: {}\n", error.what());
  return 1;
}
