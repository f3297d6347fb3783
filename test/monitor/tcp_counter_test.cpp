#include "monitor/tcp_counter.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/address.hpp"
#include "common/error.hpp"

using namespace farol;
using namespace farol::monitor;

namespace {

struct Listener {
  explicit Listener(const Address& at) : fd(check("socket", ::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    const SockAddr raw = at.raw();
    check("bind", ::bind(fd.get(), raw.get(), raw.size));
    check("listen", ::listen(fd.get(), 16));
    SockAddr bound;
    check("getsockname", ::getsockname(fd.get(), bound.get(), &bound.size));
    address = Address::from(bound);
  }
  [[nodiscard]] Fd connect() const {
    Fd client(check("socket", ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const SockAddr raw = address.raw();
    check("connect", ::connect(client.get(), raw.get(), raw.size));
    return client;
  }
  Fd fd;
  Address address;
};

const Logger kQuiet(STDERR_FILENO, LogLevel::error, LogFormat::text);

}  // namespace

TEST_CASE("TcpCounter: counts the service's side of each connection, IPv4 and IPv6", "[tcp_counter]") {
  const Listener v4(Address::ipv4(0x7f000001, 0));
  const Listener v6(*Address::parse_ip("::1", v4.address.port()));
  const Fd one = v4.connect(), two = v4.connect(), three = v6.connect();
  TcpCounter counter(v4.address.port(), kQuiet);
  const auto sockets = counter.count();
  CHECK(sockets.established == 3);
  CHECK(sockets.listening);
  CHECK(counter.listening().established == 0);
  CHECK(counter.listening().listening);
}

TEST_CASE("TcpCounter: counts anew each time", "[tcp_counter]") {
  const Listener listener(Address::ipv4(0x7f000001, 0));
  TcpCounter counter(listener.address.port(), kQuiet);
  CHECK(counter.count().established == 0);
  const Fd client = listener.connect();
  CHECK(counter.count().established == 1);
}

TEST_CASE("TcpCounter: a connection whose client has left is established no more", "[tcp_counter]") {
  const Listener listener(Address::ipv4(0x7f000001, 0));
  Fd client = listener.connect();
  const Fd served(check("accept", ::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  client.reset();
  char end = 0;
  CHECK(::read(served.get(), &end, 1) == 0);
  TcpCounter counter(listener.address.port(), kQuiet);
  CHECK(counter.count().established == 0);
}

TEST_CASE("TcpCounter: says when nobody listens on the service's port", "[tcp_counter]") {
  Listener listener(*Address::parse_ip("::1"));
  TcpCounter counter(listener.address.port(), kQuiet);
  CHECK(counter.count().listening);
  listener.fd.reset();
  CHECK_FALSE(counter.count().listening);
  CHECK_FALSE(counter.listening().listening);
}
