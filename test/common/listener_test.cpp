#include "common/listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "common/error.hpp"

using namespace farol;
using namespace std::chrono_literals;
using Outcome = Listener::Outcome;

namespace {

int option(const Fd& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  check("getsockopt", ::getsockopt(socket.get(), level, name, &value, &size));
  return value;
}

}  // namespace

TEST_CASE("listener: what the machine lacks is waited for, a client's trouble is passed over", "[listener]") {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) CHECK(Listener::outcome_of(error) == Outcome::out_of_resources);
  for (const int error : {ECONNABORTED, EINTR, EPROTO, EAGAIN, EPERM, ENETDOWN, EHOSTUNREACH})
    CHECK(Listener::outcome_of(error) == Outcome::again);
  for (const int error : {EINVAL, EBADF}) CHECK(Listener::outcome_of(error) == Outcome::closed);
  CHECK(Listener::outcome_of(0) == Outcome::accepted);
}

TEST_CASE("listener: what is set on it holds for every client, also of a twin", "[listener]") {
  Listener listener(Address::ipv4(0x7f000001, 0));
  listener.probe_idle_clients(30s);
  const Listener& twin = listener.twin(1);
  bool met_first = false, met_twin = false;
  for (int i = 0; i < 64 && !(met_first && met_twin); ++i) {  // the kernel spreads clients by their ports
    const Fd client(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const SockAddr raw = listener.address().raw();
    check("connect", ::connect(client.get(), raw.get(), raw.size));
    pollfd ready[] = {{listener.fd(), POLLIN, 0}, {twin.fd(), POLLIN, 0}};
    REQUIRE(::poll(ready, 2, 10'000) == 1);
    const bool first = ready[0].revents != 0;
    (first ? met_first : met_twin) = true;
    Fd accepted;
    Address peer;
    REQUIRE((first ? listener : twin).accept(accepted, peer) == Outcome::accepted);
    CHECK(option(accepted, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(accepted, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option(accepted, IPPROTO_TCP, TCP_KEEPIDLE) == 15);
    CHECK(option(accepted, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
  }
  CHECK(met_first);
  CHECK(met_twin);
}

TEST_CASE("listener: a start that fails says where, and what would be right", "[listener]") {
  const Listener first(Address::ipv4(0x7f000001, 0));
  CHECK_THROWS_AS(Listener(first.address()), StartError);
  CHECK_THROWS_WITH(Listener(first.address()),
                    "cannot listen on " + first.address().text() + ": Address already in use");
  CHECK_THROWS_WITH(Listener(*Address::parse("192.0.2.1:8080")),
                    "cannot listen on 192.0.2.1:8080: Cannot assign requested address (this machine has no such address)");
}
