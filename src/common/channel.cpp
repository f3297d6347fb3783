#include "common/channel.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/error.hpp"
#include "common/io.hpp"

namespace farol {
namespace {

IoResult result_of(ssize_t n) {
  using Status = IoResult::Status;
  if (n > 0) return {Status::ok, static_cast<std::uint32_t>(n), 0};
  if (n == 0) return {Status::eof, 0, 0};
  // A blocking socket whose SO_RCVTIMEO or SO_SNDTIMEO ran out says EAGAIN too.
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::again, 0, 0};
  return {Status::error, 0, errno};
}

IoResult result_of_answer(int answer) {
  if (answer < 0) errno = -answer;
  return result_of(answer < 0 ? -1 : answer);
}

}  // namespace

ConnectResult connect_error(int error) {
  switch (error) {
    case 0: return ConnectResult::connected;
    case ETIMEDOUT: return ConnectResult::timed_out;
    case EADDRNOTAVAIL:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN: return ConnectResult::no_resources;
    case ECONNREFUSED: return ConnectResult::refused;
    default: return ConnectResult::unreachable;
  }
}

Channel::~Channel() {
  if (readiness.slot != kNoSlot) io_.forget(*this);
}

bool IoResult::unsupported() const {
  return status == Status::error && (error == EINVAL || error == ENOSYS || error == EPERM || error == ENOMEM);
}

IoResult Channel::read(std::span<std::byte> buffer) const {
  return true_end(result_of(retry_eintr([&] { return ::recv(fd(), buffer.data(), buffer.size(), 0); })));
}

IoResult Channel::write(std::span<const std::byte> data) const {
  writing_ = true;
  const IoResult sent = result_of(retry_eintr([&] { return ::send(fd(), data.data(), data.size(), MSG_NOSIGNAL); }));
  writing_ = sent.bytes < data.size();
  return sent;
}

IoResult Channel::receive_now(Received& bytes, std::span<std::byte> buffer) const {
  const IoResult got = read(buffer);
  bytes.refer_to(buffer.first(got.bytes));
  return got;
}

IoResult Channel::send_now(Received& bytes) const {
  const IoResult done = write(bytes.data());
  if (done.bytes > 0) bytes.drop(done.bytes);
  return done;
}

IoResult Channel::received(int answer) const { return true_end(result_of_answer(answer)); }

IoResult Channel::sent(int answer, Received& bytes) const {
  const IoResult done = result_of_answer(answer);
  writing_ = done.bytes < bytes.data().size();
  if (done.bytes > 0) bytes.drop(done.bytes);
  return done;
}

IoResult Channel::read_into(Pipe& pipe) const {
  const IoResult moved = result_of(retry_eintr([&] {
    return ::splice(fd(), nullptr, pipe.write_end.get(), nullptr, pipe.capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  }));
  pipe.content += moved.bytes;
  return true_end(moved);
}

IoResult Channel::write_from(Pipe& pipe) const {
  writing_ = true;
  const IoResult moved = result_of(retry_eintr([&] {
    return ::splice(pipe.read_end.get(), nullptr, fd(), nullptr, pipe.content, SPLICE_F_MOVE);
  }));
  writing_ = moved.bytes < pipe.content;
  pipe.content -= moved.bytes;
  return moved;
}

/// A reset is told once. When the other direction's write was told (or is being told now), our read sees an end of file,
/// but on a connection that is gone. A write that fell short may have been told too: splice(2) then reports its bytes.
IoResult Channel::true_end(IoResult got) const {
  if (got.status == IoResult::Status::eof && writing_ && gone()) return {IoResult::Status::error, 0, ECONNRESET};
  return got;
}

bool Channel::gone() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(fd(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE;
}

void Channel::shutdown_write() const { ::shutdown(fd(), SHUT_WR); }

void Channel::shutdown_read() const { ::shutdown(fd(), SHUT_RD); }

void Channel::shut_down() const { ::shutdown(fd(), SHUT_RDWR); }

void Channel::reset_on_close() const {
  const linger at_once{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::size_t Channel::unacknowledged() const {
  int bytes = 0;
  return ::ioctl(fd(), SIOCOUTQ, &bytes) == 0 && bytes > 0 && !gone() ? static_cast<std::size_t>(bytes) : 0;
}

std::size_t Channel::unread() const {
  int bytes = 0;
  return ::ioctl(fd(), SIOCINQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::uint64_t Channel::acknowledged() const { return acknowledged_bytes(fd_); }

void Channel::probe_when_idle(Duration limit) const { farol::probe_when_idle(fd_, limit); }

Silence Channel::silence() const { return silence_of(fd_); }

int Channel::take_error() const { return socket_error(fd_); }

Task<ConnectResult> connect_stream(Channel& channel, Address target, TimePoint deadline) {
  const SockAddr raw = target.raw();
  if (::connect(channel.fd(), raw.get(), raw.size) == 0) co_return ConnectResult::connected;
  // EINTR: the attempt goes on in the kernel, exactly as after EINPROGRESS.
  if (errno != EINPROGRESS && errno != EINTR) co_return connect_error(errno);
  const Wait wait = co_await channel.writable(deadline);
  if (wait == Wait::timeout) co_return ConnectResult::timed_out;
  if (wait == Wait::cut) co_return ConnectResult::cut;
  co_return connect_error(channel.take_error());
}

Task<bool> write_all(Channel& channel, std::span<const std::byte> data, TimePoint deadline) {
  while (!data.empty()) {
    const IoResult sent = channel.write(data);
    if (sent.status == IoResult::Status::ok) {
      data = data.subspan(sent.bytes);
      continue;
    }
    if (sent.status != IoResult::Status::again) co_return false;
    const Wait wait = co_await channel.writable(deadline);
    if (wait != Wait::ready) co_return false;
  }
  co_return true;
}

}  // namespace farol
