#include "monitor/tcp_counter.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <span>
#include <stdexcept>
#include <system_error>

#include "common/error.hpp"

namespace farol::monitor {
namespace {

constexpr std::uint32_t kConnected = 1U << TCP_ESTABLISHED;
constexpr std::uint32_t kListening = 1U << TCP_LISTEN;
constexpr timeval kPatience{1, 0};  // the kernel answers at once; nothing may hold the answering thread up

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

Fd open_netlink() {
  Fd fd(check("socket", ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)));
  check("SO_RCVTIMEO", ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience));
  return fd;
}

/// Counts the sockets in one datagram of a dump. Returns true when it is the last one; throws what the kernel reports.
bool count_sockets(std::span<const char> data, std::uint32_t sequence, std::uint32_t& sockets) {
  nlmsghdr header{};
  while (data.size() >= sizeof header) {
    std::memcpy(&header, data.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > data.size()) throw std::runtime_error("malformed dump");
    if (header.nlmsg_seq == sequence) {
      if (header.nlmsg_type == NLMSG_DONE) return true;
      if (header.nlmsg_type == NLMSG_ERROR) {
        nlmsgerr error{};
        if (header.nlmsg_len >= NLMSG_LENGTH(sizeof error))
          std::memcpy(&error, data.data() + NLMSG_HDRLEN, sizeof error);
        throw std::system_error(-error.error, std::generic_category(), "dump");
      }
      if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY) ++sockets;
    }
    data = data.subspan(std::min<std::size_t>(data.size(), NLMSG_ALIGN(header.nlmsg_len)));
  }
  return false;
}

Duration thread_cpu_time() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

}  // namespace

ServiceSockets TcpCounter::count(TimePoint now) {
  if (now < fresh_until_) return last_;
  const Duration before = thread_cpu_time();
  last_ = dump(true);
  const auto cost = to_seconds(thread_cpu_time() - before);
  fresh_until_ = now + std::max(kFresh, from_seconds(cost / kCostLimit));
  return last_;
}

bool TcpCounter::listening() { return dump(false).listening; }

ServiceSockets TcpCounter::dump(bool with_established) {
  try {
    if (!netlink_) netlink_ = open_netlink();
    ServiceSockets found;
    if (with_established) found.established = dump(AF_INET, kConnected) + dump(AF_INET6, kConnected);
    found.listening = dump(AF_INET, kListening) + dump(AF_INET6, kListening) > 0;
    refusal_.clear();
    return found;
  } catch (const std::exception& error) {
    netlink_.reset();  // whatever is still on its way belongs to a dump that is over
    if (refusal_ != error.what())
      log_.warn("cannot count the service's connections: reporting 0, and the service as listening",
                {{"service_port", port_}, {"error", error.what()}});
    refusal_ = error.what();
    return {};
  }
}

std::uint32_t TcpCounter::dump(std::uint8_t family, std::uint32_t states) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = states;
  request.body.id.idiag_sport = htons(port_);  // the kernel skips every other local port
  check("ask sock_diag", retry_eintr([&] { return ::send(netlink_.get(), &request, sizeof request, 0); }));

  std::uint32_t sockets = 0;
  std::array<char, 32 * 1024> buffer;
  for (;;) {
    const auto size = retry_eintr([&] { return ::recv(netlink_.get(), buffer.data(), buffer.size(), 0); });
    check("read sock_diag", size);
    if (size == 0) throw std::runtime_error("read sock_diag: end of file");
    if (count_sockets(std::span(buffer.data(), static_cast<std::size_t>(size)), sequence_, sockets)) return sockets;
  }
}

}  // namespace farol::monitor
