#include "common/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "common/error.hpp"
#include "common/socket_option.hpp"

namespace farol {
namespace {

constexpr int kBacklog = 4096;
/// Of whom nothing is asked otherwise: after half of it, two hours, the kernel asks for the first time.
constexpr auto kSystemLimit = std::chrono::hours(4);

void set_option(const Fd& fd, int level, int name, int value) {
  check("setsockopt", ::setsockopt(fd.get(), level, name, &value, sizeof value));
}

std::string place(const Address& address) {
  const bool any = address.family() == AF_INET6 && address.is_wildcard();
  return any ? "0.0.0.0:" + std::to_string(address.port()) : address.text();
}

std::string listen_failure(const Address& address, int error, std::string_view try_instead = {}) {
  if (error == EACCES && address.port() < 1024)
    return "port " + std::to_string(address.port()) + " needs CAP_NET_BIND_SERVICE" +
           (try_instead.empty() ? "" : " (try " + std::string(try_instead) + ")");
  return "cannot listen on " + place(address) + ": " + error_text(error) +
         (error == EADDRNOTAVAIL ? " (this machine has no such address)" : "");
}

/// The wildcard falls back to IPv4 alone on a machine without IPv6.
Fd open_socket(Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd && errno == EAFNOSUPPORT && address.is_wildcard()) {
    address = Address::ipv4(0, address.port());
    fd = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  return fd;
}

}  // namespace

Listener::Listener(const Address& address, std::string_view try_instead, InheritedSockets* inherited)
    : address_(address) {
  if (inherited != nullptr) adopt(inherited->take_listeners(address));
  kept_ = inherited_;
  if (inherited_) return;
  if (const auto own = inherited == nullptr ? std::nullopt : inherited->in_the_way_of(address))
    throw StartError(own_in_the_way(address, *own));
  fd_ = open_socket(address_);
  if (!fd_) throw StartError(listen_failure(address_, errno));
  bind_and_listen(try_instead);
}

std::string Listener::own_in_the_way(const Address& wanted, const Address& own) {
  return "cannot listen on " + place(wanted) + ": this proxy's own listener on " + place(own) +
         " has the port (restart it, or reload it with another port in place of that one first)";
}

void Listener::adopt(std::vector<Fd> sockets) {
  MutexLock lock(mutex_);
  for (Fd& socket : sockets) {
    Listener& heir = inherited_ ? *twins_.emplace_back(new Listener) : *this;
    heir.fd_ = std::move(socket);
    heir.inherited_ = true;
    heir.prepare();
    check("listen", ::listen(heir.fd_.get(), kBacklog));
    SockAddr bound;
    check("getsockname", ::getsockname(heir.fd_.get(), bound.get(), &bound.size));
    heir.address_ = Address::from(bound);
  }
}

void Listener::prepare() {
  set_option(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void Listener::bind_and_listen(std::string_view try_instead) {
  prepare();
  if (address_.family() == AF_INET6) set_option(fd_, IPPROTO_IPV6, IPV6_V6ONLY, address_.is_wildcard() ? 0 : 1);
  const SockAddr raw = address_.raw();
  if (::bind(fd_.get(), raw.get(), raw.size) < 0 || ::listen(fd_.get(), kBacklog) < 0)
    throw StartError(listen_failure(address_, errno, try_instead));
  SockAddr bound;
  check("getsockname", ::getsockname(fd_.get(), bound.get(), &bound.size));
  address_ = Address::from(bound);
}

const Listener& Listener::twin(std::size_t number) const {
  if (number == 0) return *this;
  MutexLock lock(mutex_);
  while (twins_.size() < number) {
    if (inherited_) return *this;  // whoever else has the socket does not know of our twins
    twins_.push_back(make_twin());
    if (probe_limit_) twins_.back()->probe_idle_clients(*probe_limit_);
  }
  return *twins_[number - 1];
}

std::size_t Listener::sockets() const {
  MutexLock lock(mutex_);
  return 1 + twins_.size();
}

std::vector<int> Listener::descriptors() const {
  std::vector<int> all = {fd_.get()};
  MutexLock lock(mutex_);
  for (const auto& twin : twins_) all.push_back(twin->fd_.get());
  return all;
}

std::unique_ptr<Listener> Listener::make_twin() const {
  set_option(fd_, SOL_SOCKET, SO_REUSEPORT, 1);
  std::unique_ptr<Listener> other(new Listener);
  other->address_ = address_;
  other->fd_ = open_socket(other->address_);
  if (!other->fd_) throw StartError(listen_failure(address_, errno));
  set_option(other->fd_, SOL_SOCKET, SO_REUSEPORT, 1);
  other->bind_and_listen({});
  return other;
}

void Listener::set_blocking(bool on) const {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  check("fcntl", ::fcntl(fd_.get(), F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK));
}

void Listener::give_to(uid_t user) const { check("fchown", ::fchown(fd_.get(), user, static_cast<gid_t>(-1))); }

void Listener::probe_idle_clients(Duration limit) const {
  MutexLock lock(mutex_);
  if (limit == probe_limit_) return;
  probe_limit_ = limit;
  probe_when_idle(fd_, limit > Duration::zero() ? limit : kSystemLimit);
  for (const auto& twin : twins_) twin->probe_idle_clients(limit);
}

Listener::Outcome Listener::accept(Fd& socket, Address& peer, Mode mode) const {
  SockAddr raw;
  socket = Fd(::accept4(fd_.get(), raw.get(), &raw.size,
                        SOCK_CLOEXEC | (mode == Mode::non_blocking ? SOCK_NONBLOCK : 0)));
  if (!socket) return outcome_of(errno);
  peer = Address::from(raw);
  return Outcome::accepted;
}

Listener::Outcome Listener::outcome_of(int error) {
  switch (error) {
    case 0: return Outcome::accepted;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return Outcome::out_of_resources;
    case EINVAL:
    case EBADF: return Outcome::closed;
    default: return Outcome::again;  // ECONNABORTED, EINTR, EPROTO …: that client's trouble, not ours
  }
}

void Listener::close_listening() const {
  if (kept_) return;  // and its twins, which came with it
  ::shutdown(fd_.get(), SHUT_RDWR);
  MutexLock lock(mutex_);
  for (const auto& twin : twins_) twin->close_listening();
}

}  // namespace farol
