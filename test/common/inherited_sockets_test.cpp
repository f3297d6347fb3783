#include "common/inherited_sockets.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <vector>

#include "common/error.hpp"
#include "common/listener.hpp"
#include "common/udp.hpp"

using namespace farol;

namespace {

Fd copy_of(int fd) { return Fd(check("dup", ::dup(fd))); }

}  // namespace

TEST_CASE("inherited sockets: each goes to the one that asks for its address, once", "[handover]") {
  const Listener one(Address::ipv4(0x7f000001, 0)), other(Address::ipv4(0x7f000001, 0));
  const UdpSocket udp = open_udp(Address::ipv4(0x7f000001, one.address().port()));
  std::vector<Fd> given;
  given.push_back(copy_of(udp.fd.get()));
  given.push_back(copy_of(one.fd()));
  given.push_back(copy_of(one.twin(1).fd()));
  given.push_back(copy_of(other.fd()));
  InheritedSockets sockets(std::move(given));
  CHECK(sockets.take_listeners(Address::ipv4(0x7f000001, 1)).empty());
  CHECK(sockets.take_listeners(one.address()).size() == 2);
  CHECK(sockets.take_listeners(one.address()).empty());
  CHECK(sockets.left_over().has_value());
  CHECK_FALSE(sockets.take_udp(other.address()));
  CHECK(sockets.take_udp(udp.bound));
  CHECK_FALSE(sockets.take_udp(udp.bound));
  CHECK(sockets.left_over() == "TCP " + other.address().text());
  CHECK(sockets.take_listeners(other.address()).size() == 1);
  CHECK_FALSE(sockets.left_over());
}

TEST_CASE("inherited sockets: the wildcard is one address, whatever its family; what is no listener is none",
          "[handover]") {
  const Listener ipv4(Address::ipv4(0, 0));
  Fd silent(check("socket", ::socket(AF_INET, SOCK_STREAM, 0)));
  int pair[2];
  check("socketpair", ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  const Fd left(pair[0]);
  std::vector<Fd> given;
  given.push_back(copy_of(ipv4.fd()));
  given.push_back(std::move(silent));
  given.emplace_back(pair[1]);
  InheritedSockets sockets(std::move(given));
  CHECK(sockets.take_listeners(Address::any(ipv4.address().port())).size() == 1);
  CHECK(sockets.take_listeners(Address::any(0)).empty());
  CHECK(sockets.left_over() == "TCP 0.0.0.0:0");
}

TEST_CASE("inherited sockets: a listener of theirs has their twins, and closes none that is kept", "[handover]") {
  const bool kept = GENERATE(false, true);
  const Listener first(Address::ipv4(0x7f000001, 0));
  std::vector<Fd> given;
  given.push_back(copy_of(first.fd()));
  given.push_back(copy_of(first.twin(1).fd()));
  InheritedSockets sockets(std::move(given));
  const Listener heir(first.address(), {}, &sockets);
  CHECK(heir.kept());
  heir.set_kept(kept);
  CHECK(heir.address() == first.address());
  CHECK(heir.sockets() == 2);
  CHECK(&heir.twin(1) != &heir);
  CHECK(&heir.twin(2) == &heir);  // nobody would know of a third
  CHECK(heir.sockets() == 2);
  CHECK(heir.descriptors().size() == 2);
  heir.close_listening();
  const Fd client(check("socket", ::socket(AF_INET, SOCK_STREAM, 0)));
  const SockAddr to = first.address().raw();
  CHECK((::connect(client.get(), to.get(), to.size) == 0) == kept);
}

TEST_CASE("inherited sockets: one that listens keeps out who overlaps, until it is taken", "[handover]") {
  const Listener one(Address::ipv4(0x7f000001, 0));
  const std::uint16_t port = one.address().port();
  const auto given = [&](InheritedSockets::Giver giver) {
    std::vector<Fd> sockets;
    sockets.push_back(copy_of(one.fd()));
    return InheritedSockets(std::move(sockets), giver);
  };
  InheritedSockets sockets = given(InheritedSockets::Giver::predecessor);
  for (const Address& wide : {Address::any(port), Address::ipv4(0, port)}) {
    CHECK(sockets.in_the_way_of(wide) == one.address());
    CHECK_THROWS_WITH(Listener(wide, {}, &sockets),
                      Catch::Contains("this proxy's own listener on " + one.address().text() + " has the port"));
  }
  for (const Address& other : {Address::ipv4(0x7f000002, port), Address::any(0), *Address::parse_ip("::1", port)})
    CHECK_FALSE(sockets.in_the_way_of(other));
  CHECK_FALSE(given(InheritedSockets::Giver::service_manager).in_the_way_of(Address::any(port)));
  CHECK(sockets.take_listeners(one.address()).size() == 1);
  CHECK_FALSE(sockets.in_the_way_of(Address::any(port)));
}
