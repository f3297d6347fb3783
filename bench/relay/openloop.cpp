// An open-loop HTTP load: requests leave on a Poisson schedule whatever the answers do, and a latency counts from the
// moment the request was due, so that a stall is paid for by every request that should have been sent meanwhile.
//   openloop PORT PATH RATE SECONDS CONNECTIONS keep|close
// keep: requests go to the longest idle of CONNECTIONS persistent connections, and wait for one when none is idle.
// close: every request opens a connection of its own, at most CONNECTIONS at a time. The first tenth is not counted.
// Prints one line of JSON. late_p99_us is how late the generator itself was: the measurement's own floor.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

struct Connection {
  int fd = -1;
  bool connected = false;
  bool busy = false;
  Clock::time_point due;
  std::string answer;
};

class Generator {
 public:
  Generator(int port, const std::string& path, double rate, std::size_t connections, bool keep)
      : keep_(keep), gap_(rate), connections_(connections), poller_(epoll_create1(EPOLL_CLOEXEC)) {
    request_ = "GET " + path + " HTTP/1.1\r\nHost: bench\r\n" + (keep ? "\r\n" : "Connection: close\r\n\r\n");
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (std::size_t i = 0; i < connections; ++i) {
      idle_.push_back(i);
      if (keep) open(i);
    }
  }

  void run(double seconds) {
    const auto length = std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(seconds));
    const Clock::time_point start = Clock::now() + std::chrono::milliseconds(20);
    const Clock::time_point end = start + length;
    counted_from_ = start + length / 10;
    Clock::time_point next = start;
    while (next < end || !waiting_.empty() || idle_.size() < connections_.size()) {
      Clock::time_point now = Clock::now();
      if (now > end + std::chrono::seconds(5)) break;  // what is not answered by now counts as lost
      for (; next <= now && next < end;
           next += std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(gap_(random_)))) {
        if (next >= counted_from_) ++intended_;
        waiting_.push_back(next);
      }
      send_waiting();
      now = Clock::now();
      const Nanoseconds until_due = std::max<Nanoseconds>(next - now, Nanoseconds(0));
      const auto pause = next < end ? until_due : std::chrono::milliseconds(100);
      poll(pause);
    }
    counted_seconds_ = std::chrono::duration<double>(end - counted_from_).count();
  }

  void print() {
    std::sort(latencies_.begin(), latencies_.end());
    std::sort(lateness_.begin(), lateness_.end());
    const auto done = static_cast<double>(latencies_.size());
    std::printf("{\"intended\": %llu, \"done\": %zu, \"errors\": %llu, \"rate\": %.1f, ",
                static_cast<unsigned long long>(intended_), latencies_.size(), static_cast<unsigned long long>(errors_),
                done / counted_seconds_);
    std::printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
                at(latencies_, .5), at(latencies_, .9), at(latencies_, .99), at(latencies_, .999), at(latencies_, 1));
    std::printf("\"late_p99_us\": %.1f}\n", at(lateness_, .99));
  }

 private:
  static double at(const std::vector<double>& sorted, double quantile) {
    if (sorted.empty()) return -1;
    const auto index = static_cast<std::size_t>(quantile * static_cast<double>(sorted.size()));
    return sorted[std::min(index, sorted.size() - 1)];
  }

  void open(std::size_t i) {
    Connection& connection = connections_[i];
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.connected = connect(connection.fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0;
    epoll_event interest{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = i}};
    epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &interest);
  }

  void send_waiting() {
    while (!waiting_.empty() && !idle_.empty()) {
      const std::size_t i = idle_.front();
      idle_.pop_front();
      Connection& connection = connections_[i];
      connection.busy = true;
      connection.due = waiting_.front();
      connection.answer.clear();
      waiting_.pop_front();
      // With none waiting behind it, whatever it is late by is the generator's own doing.
      if (connection.due >= counted_from_ && waiting_.empty()) lateness_.push_back(since(connection.due));
      if (connection.fd < 0) open(i);
      if (connection.connected) send_request(i);
    }
  }

  static double since(Clock::time_point then) {
    return std::chrono::duration<double, std::micro>(Clock::now() - then).count();
  }

  void send_request(std::size_t i) {
    const ssize_t sent = send(connections_[i].fd, request_.data(), request_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request_.size())) finish(i, false);
  }

  void poll(Nanoseconds pause) {
    const timespec timeout{.tv_sec = static_cast<time_t>(pause.count() / 1'000'000'000),
                           .tv_nsec = static_cast<long>(pause.count() % 1'000'000'000)};
    std::array<epoll_event, 64> events;
    const int ready = epoll_pwait2(poller_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < ready; ++i) handle(events[static_cast<std::size_t>(i)]);
  }

  void handle(const epoll_event& event) {
    const auto i = static_cast<std::size_t>(event.data.u64);
    Connection& connection = connections_[i];
    if (connection.fd < 0) return;
    if (!connection.connected && (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
      connection.connected = true;
      if (connection.busy) send_request(i);
      if (connection.fd < 0) return;
    }
    if ((event.events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) receive(i);
  }

  void receive(std::size_t i) {
    Connection& connection = connections_[i];
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t got = recv(connection.fd, buffer.data(), buffer.size(), 0);
      if (got < 0 && errno == EAGAIN) break;
      if (got <= 0) return finish(i, got == 0 && !keep_ && complete(connection.answer));
      connection.answer.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (keep_ && connection.busy && complete(connection.answer)) finish(i, true);
  }

  static bool complete(const std::string& answer) {
    const std::size_t head = answer.find("\r\n\r\n");
    constexpr const char* kLength = "Content-Length: ";
    const std::size_t length = answer.find(kLength);
    if (!answer.starts_with("HTTP/1.1 200 ") || head == std::string::npos || length > head) return false;
    return answer.size() >= head + 4 + std::strtoull(answer.c_str() + length + std::strlen(kLength), nullptr, 10);
  }

  void finish(std::size_t i, bool well) {
    Connection& connection = connections_[i];
    const bool counted = connection.busy && connection.due >= counted_from_;
    if (counted && well) latencies_.push_back(since(connection.due));
    if (!well) ++errors_;
    if (!keep_ || !well) {
      close(connection.fd);
      connection.fd = -1;
      connection.connected = false;
    }
    if (connection.busy) idle_.push_back(i);
    connection.busy = false;
  }

  const bool keep_;
  std::exponential_distribution<double> gap_;
  std::mt19937_64 random_{20'240'229};  // the same schedule for everyone
  std::vector<Connection> connections_;
  std::deque<std::size_t> idle_;
  std::deque<Clock::time_point> waiting_;
  std::string request_;
  sockaddr_in address_{};
  int poller_;
  Clock::time_point counted_from_;
  double counted_seconds_ = 1;
  std::uint64_t intended_ = 0;
  std::uint64_t errors_ = 0;
  std::vector<double> latencies_;
  std::vector<double> lateness_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7 || (std::strcmp(argv[6], "keep") != 0 && std::strcmp(argv[6], "close") != 0))
    return std::fprintf(stderr, "usage: openloop PORT PATH RATE SECONDS CONNECTIONS keep|close\n"), 64;
  prctl(PR_SET_TIMERSLACK, 1);  // the default lets every wait end 50 us late
  Generator generator(std::atoi(argv[1]), argv[2], std::atof(argv[3]), std::strtoul(argv[5], nullptr, 10),
                      std::strcmp(argv[6], "keep") == 0);
  generator.run(std::atof(argv[4]));
  generator.print();
}
