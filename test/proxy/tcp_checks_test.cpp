#include "proxy/tcp_checks.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <map>

#include "common/channel.hpp"
#include "common/listener.hpp"
#include "common/without_descriptors.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace std::chrono_literals;

namespace {

using Outcome = TcpChecks::Outcome;

const Address kLoopback = Address::ipv4(0x7f000001, 0);

/// Waits for the checks as the alarm thread does: the outcome of each.
std::map<std::uint64_t, Outcome> all_results(TcpChecks& checks) {
  std::map<std::uint64_t, Outcome> results;
  while (!checks.empty()) {
    for (const TcpChecks::Result& result : checks.collect(Clock::now()))
      CHECK(results.emplace(result.backend, result.outcome).second);
    std::vector<pollfd> set;
    checks.add_to(set);
    ::poll(set.data(), set.size(), 10);
  }
  return results;
}

}  // namespace

TEST_CASE("TcpChecks: accepted, refused, and many at once", "[tcp_checks]") {
  const Listener listener(kLoopback);
  const test::RefusingServer closed;
  TcpChecks checks;
  CHECK(checks.empty());
  for (std::uint64_t id = 0; id < 40; ++id)
    checks.start(id, id % 2 == 0 ? listener.address() : closed.address(), Clock::now() + 10s);
  CHECK_FALSE(checks.empty());
  const auto results = all_results(checks);
  CHECK(results.size() == 40);
  for (const auto& [id, outcome] : results) CHECK(outcome == (id % 2 == 0 ? Outcome::accepted : Outcome::refused));
}

TEST_CASE("TcpChecks: without a descriptor, or a port, nothing is said of the service", "[tcp_checks]") {
  const Listener listener(kLoopback);
  TcpChecks checks;
  {
    const test::WithoutDescriptors none;
    checks.start(7, listener.address(), Clock::now() + 10s);
  }
  const auto results = checks.collect(Clock::now());
  REQUIRE(results.size() == 1);
  CHECK(results[0].outcome == Outcome::not_tried);
  for (const int ours : {EADDRNOTAVAIL, ENOBUFS, ENOMEM}) CHECK(connect_error(ours) == ConnectResult::no_resources);
  CHECK(connect_error(ECONNREFUSED) == ConnectResult::refused);
  CHECK(connect_error(EHOSTUNREACH) == ConnectResult::unreachable);
  CHECK(connect_error(ETIMEDOUT) == ConnectResult::timed_out);
}

TEST_CASE("TcpChecks: a service that does not answer until the deadline is unreachable", "[tcp_checks]") {
  // A full accept queue does not answer: the kernel drops the SYN.
  const Fd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SockAddr bound = kLoopback.raw();
  REQUIRE(::bind(full.get(), bound.get(), bound.size) == 0);
  REQUIRE(::listen(full.get(), 0) == 0);
  REQUIRE(::getsockname(full.get(), bound.get(), &bound.size) == 0);
  const Address service = Address::from(bound);
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const SockAddr to = service.raw();
    (void)::connect(fillers.back().get(), to.get(), to.size);
  }
  TcpChecks checks;
  const TimePoint start = Clock::now();
  checks.start(7, service, start + 200ms);
  CHECK(checks.collect(start + 199ms).empty());
  const auto results = all_results(checks);
  CHECK(results == std::map<std::uint64_t, Outcome>{{7, Outcome::unreachable}});
  CHECK(Clock::now() - start >= 200ms);
}

TEST_CASE("TcpChecks: an address that cannot be reached at all is not waited for", "[tcp_checks]") {
  TcpChecks checks;
  checks.start(7, Address::ipv4(0xffffffff, 80), Clock::now() + 10s);
  const auto results = checks.collect(Clock::now());
  REQUIRE(results.size() == 1);
  CHECK(results[0].outcome == Outcome::unreachable);
  CHECK(checks.empty());
}
