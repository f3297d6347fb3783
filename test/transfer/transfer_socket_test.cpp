#include "transfer/transfer_socket.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <numeric>

using namespace farol;
using farol::transfer::Arrival;
using farol::transfer::TransferSocket;
using Bytes = std::vector<std::uint8_t>;

namespace {

Address at(const char* text) {
  return Address::parse(text).value();
}
bool has_ipv6() {
  return is_local(at("[::1]:0"));
}
Address loopback(const TransferSocket& socket) {
  return at("127.0.0.1:0").with_port(socket.local_address().port());
}

struct Received {
  UdpPath path;
  Bytes bytes;
};

/// Waits for so many datagrams, or for two seconds.
std::vector<Received> receive(TransferSocket& socket, std::size_t count) {
  std::vector<Received> all;
  for (int waits = 0; waits < 20 && all.size() < count; ++waits) {
    pollfd waiting{socket.fd(), POLLIN, 0};
    ::poll(&waiting, 1, 100);
    while (socket.receive([&](Arrival& a) { all.push_back({a.path, {a.datagram.begin(), a.datagram.end()}}); }) > 0) {
    }
  }
  return all;
}

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

Bytes joined(const std::vector<Received>& datagrams) {
  Bytes all;
  for (const auto& one : datagrams) all.insert(all.end(), one.bytes.begin(), one.bytes.end());
  return all;
}

}  // namespace

TEST_CASE("TransferSocket: a burst arrives as the datagrams it was made of", "[transfer_socket]") {
  TransferSocket server(at("127.0.0.1:0")), gateway(Address::any(0));
  const bool one_by_one = GENERATE(false, true);
  if (one_by_one) server.send_one_by_one();
  for (const std::size_t last : {std::size_t{1}, std::size_t{700}, transfer::kMaxDatagram}) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, TransferSocket::kMaxBurst}) {
      const Bytes sent = counting((count - 1) * transfer::kMaxDatagram + last);
      CHECK(server.send({loopback(gateway), {}, 0}, sent, transfer::kMaxDatagram) == count);
      const auto got = receive(gateway, count);
      REQUIRE(got.size() == count);
      CHECK(joined(got) == sent);
      CHECK(got.back().bytes.size() == last);
      CHECK(got.front().path.peer == server.local_address());
    }
  }
  CHECK(server.segments() != one_by_one);
}

TEST_CASE("TransferSocket: where the kernel will not cut, datagrams go out one by one", "[transfer_socket]") {
  TransferSocket server(at("127.0.0.1:0")), gateway(at("127.0.0.1:0"));
  const int on = 1;  // without checksums there is no segmentation: EINVAL
  REQUIRE(::setsockopt(server.fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on) == 0);
  const Bytes sent = counting(10 * 1000 - 1);
  CHECK(server.send({loopback(gateway), {}, 0}, sent, 1000) == 10);
  CHECK_FALSE(server.segments());
  CHECK(joined(receive(gateway, 10)) == sent);
  CHECK(server.send({loopback(gateway), {}, 0}, sent, 1000) == 10);
  CHECK(receive(gateway, 10).size() == 10);
}

TEST_CASE("TransferSocket: a source address that is gone does not end the bursts", "[transfer_socket]") {
  TransferSocket server(Address::any(0)), gateway(at("127.0.0.1:0"));
  const Bytes sent = counting(2000);
  CHECK(server.send({loopback(gateway), at("192.0.2.1:1"), 0}, sent, 1000) == 2);  // lost, as EINVAL
  CHECK(server.segments());
  CHECK(server.send({loopback(gateway), {}, 0}, sent, 1000) == 2);
  CHECK(receive(gateway, 2).size() == 2);
}

TEST_CASE("TransferSocket: nothing is ever fragmented", "[transfer_socket]") {
  const TransferSocket socket(Address::any(0));
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(socket.fd(), IPPROTO_IP, IP_MTU_DISCOVER, &value, &size) == 0);
  CHECK(value == IP_PMTUDISC_PROBE);
  if (!has_ipv6()) return;
  REQUIRE(::getsockopt(socket.fd(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &value, &size) == 0);
  CHECK(value == IPV6_PMTUDISC_PROBE);
}

TEST_CASE("TransferSocket: one socket talks IPv4 and IPv6", "[transfer_socket]") {
  if (!has_ipv6()) return;
  TransferSocket gateway(Address::any(0));
  const auto port = gateway.local_address().port();
  for (const char* address : {"127.0.0.1:0", "[::1]:0"}) {
    TransferSocket server(at(address));
    CHECK(server.send({at(address).with_port(port), {}, 0}, counting(5)));
    const auto got = receive(gateway, 1);
    REQUIRE(got.size() == 1);
    CHECK(got[0].path.local == at(address).with_port(port));
    CHECK(gateway.send(got[0].path, counting(6)));  // back along the same path
    const auto back = receive(server, 1);
    REQUIRE(back.size() == 1);
    CHECK(back[0].path.peer == at(address).with_port(port));
  }
  TransferSocket only4(at("127.0.0.1:0"));
  CHECK(only4.send({at("[::1]:9"), {}, 0}, counting(5)));  // as good as lost
}

TEST_CASE("TransferSocket: an empty datagram is one too", "[transfer_socket]") {
  TransferSocket gateway(at("127.0.0.1:0"));
  const Fd other(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SockAddr to = gateway.local_address().raw();
  REQUIRE(::sendto(other.get(), "", 0, 0, to.get(), to.size) == 0);
  REQUIRE(::sendto(other.get(), "x", 1, 0, to.get(), to.size) == 1);
  const auto got = receive(gateway, 2);
  REQUIRE(got.size() == 2);
  CHECK(got[0].bytes.empty());
  CHECK(got[1].bytes == Bytes{'x'});
}

TEST_CASE("TransferSocket: what the buffer had no room for is counted", "[transfer_socket]") {
  TransferSocket server(at("127.0.0.1:0")), gateway(at("127.0.0.1:0"));
  CHECK(gateway.receive_buffer() > 0);
  const int small = 8192;
  REQUIRE(::setsockopt(gateway.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  for (int i = 0; i < 100; ++i) CHECK(server.send({loopback(gateway), {}, 0}, counting(1000)));
  const auto before = receive(gateway, 100).size();
  CHECK(before < 100);
  CHECK(server.send({loopback(gateway), {}, 0}, counting(1000)));  // the count comes with the next one
  CHECK(receive(gateway, 1).size() == 1);
  CHECK(gateway.drops() == 100 - before);
}

TEST_CASE("TransferSocket: a port that is taken is named", "[transfer_socket]") {
  const TransferSocket first(at("127.0.0.1:0"));
  CHECK_THROWS_WITH(TransferSocket(first.local_address()),
                    Catch::Contains("bind " + first.local_address().text() + ": Address already in use"));
}
