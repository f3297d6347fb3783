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
#include <span>
#include <stdexcept>
#include <system_error>

#include "common/error.hpp"

namespace farol::monitor {
namespace {

constexpr std::uint32_t kConnected = 1U << TCP_ESTABLISHED;
constexpr std::uint32_t kListening = 1U << TCP_LISTEN;
constexpr timeval kPatience{1, 0};  // the kernel answers at once; nothing may hold the end up

struct Request {
  nlmsghdr header{};
  inet_diag_req body{};  // takes both families, unlike inet_diag_req_v2
};

Fd open_netlink() {
  Fd fd(check("socket", ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)));
  check("SO_RCVTIMEO", ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience));
  return fd;
}

void add_socket(std::span<const char> message, ServiceSockets& found) {
  inet_diag_msg socket{};
  if (message.size() < NLMSG_LENGTH(sizeof socket)) throw std::runtime_error("malformed dump");
  std::memcpy(&socket, message.data() + NLMSG_HDRLEN, sizeof socket);
  if (socket.idiag_state == TCP_ESTABLISHED) ++found.established;
  if (socket.idiag_state == TCP_LISTEN) found.listening = true;
}

[[noreturn]] void throw_refusal(std::span<const char> message) {
  nlmsgerr error{};
  if (message.size() >= NLMSG_LENGTH(sizeof error)) std::memcpy(&error, message.data() + NLMSG_HDRLEN, sizeof error);
  throw std::system_error(-error.error, std::generic_category(), "dump");
}

/// Adds the sockets in one datagram of a dump. Returns true when it is the last one; throws what the kernel reports.
bool add_sockets(std::span<const char> data, std::uint32_t sequence, ServiceSockets& found) {
  nlmsghdr header{};
  while (data.size() >= sizeof header) {
    std::memcpy(&header, data.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > data.size()) throw std::runtime_error("malformed dump");
    const auto message = data.first(header.nlmsg_len);
    if (header.nlmsg_seq == sequence) {
      if (header.nlmsg_type == NLMSG_DONE) return true;
      if (header.nlmsg_type == NLMSG_ERROR) throw_refusal(message);
      if (header.nlmsg_type == TCPDIAG_GETSOCK) add_socket(message, found);
    }
    data = data.subspan(std::min<std::size_t>(data.size(), NLMSG_ALIGN(header.nlmsg_len)));
  }
  return false;
}

}  // namespace

ServiceSockets TcpCounter::count() {
  return ask(kConnected | kListening);
}

ServiceSockets TcpCounter::listening() {
  return ask(kListening);
}

ServiceSockets TcpCounter::ask(std::uint32_t states) {
  try {
    if (!netlink_) netlink_ = open_netlink();
    const ServiceSockets found = dump(states);
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

ServiceSockets TcpCounter::dump(std::uint32_t states) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = TCPDIAG_GETSOCK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;
  request.body.idiag_states = states;
  request.body.id.idiag_sport = htons(port_);  // the kernel skips every other local port
  check("ask sock_diag", retry_eintr([&] { return ::send(netlink_.get(), &request, sizeof request, 0); }));

  ServiceSockets found{0, false};
  std::array<char, 32 * 1024> buffer;
  for (;;) {
    const auto size = retry_eintr([&] { return ::recv(netlink_.get(), buffer.data(), buffer.size(), 0); });
    check("read sock_diag", size);
    if (size == 0) throw std::runtime_error("read sock_diag: end of file");
    if (add_sockets(std::span(buffer.data(), static_cast<std::size_t>(size)), sequence_, found)) return found;
  }
}

}  // namespace farol::monitor
