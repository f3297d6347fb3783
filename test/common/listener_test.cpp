#include "common/listener.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

#include "common/error.hpp"

using namespace farol;
using Outcome = Listener::Outcome;

TEST_CASE("listener: what the machine lacks is waited for, a client's trouble is passed over", "[listener]") {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) CHECK(Listener::outcome_of(error) == Outcome::out_of_resources);
  for (const int error : {ECONNABORTED, EINTR, EPROTO, EAGAIN, EPERM, ENETDOWN, EHOSTUNREACH})
    CHECK(Listener::outcome_of(error) == Outcome::again);
  for (const int error : {EINVAL, EBADF}) CHECK(Listener::outcome_of(error) == Outcome::closed);
  CHECK(Listener::outcome_of(0) == Outcome::accepted);
}

TEST_CASE("listener: a start that fails says where, and what would be right", "[listener]") {
  const Listener first(Address::ipv4(0x7f000001, 0));
  CHECK_THROWS_AS(Listener(first.address()), StartError);
  CHECK_THROWS_WITH(Listener(first.address()),
                    "cannot listen on " + first.address().text() + ": Address already in use");
  CHECK_THROWS_WITH(Listener(*Address::parse("192.0.2.1:8080")),
                    "cannot listen on 192.0.2.1:8080: Cannot assign requested address (this machine has no such address)");
}
