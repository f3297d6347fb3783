#include "common/address.hpp"

#include <net/if.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <unordered_set>

#include "common/error.hpp"

using namespace farol;
using Catch::Matchers::Contains;

namespace {

SockAddr raw_v6(const Address& address, std::uint32_t scope) {
  SockAddr raw = address.for_family(AF_INET6);
  sockaddr_in6 in{};
  std::memcpy(&in, &raw.storage, sizeof in);
  in.sin6_scope_id = scope;
  std::memcpy(&raw.storage, &in, sizeof in);
  return raw;
}

}  // namespace

TEST_CASE("address: what is printed is parsed again to the same value", "[address]") {
  for (const char* text :
       {"10.1.1.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[2001:db8::2]:5555", "[::]:0"}) {
    const auto address = Address::parse(text);
    REQUIRE(address);
    CHECK(address->text() == text);
  }
}

TEST_CASE("address: anything else than an address and a port is not parsed", "[address]") {
  for (const char* text : {"", "80", ":80", "10.1.1.1", "10.1.1.1:", "10.1.1.1:65536", "10.1.1.1:-1", "10.1.1.1:+1",
                           "10.1.1.1:8 0", "10.1.1.1:80x", "10.1.1:80", "host:80", "::1:80", "[::1]", "[::1:80",
                           "::1]:80", "[]:80", "[::1%no-such-interface]:80", " 10.1.1.1:80"})
    CHECK_FALSE(Address::parse(text));
}

TEST_CASE("address: an IPv4-mapped IPv6 address is the IPv4 address", "[address]") {
  const auto v4 = Address::parse("10.1.1.1:80");
  const auto mapped = Address::parse("[::ffff:10.1.1.1]:80");
  REQUIRE(mapped);
  CHECK(*mapped == *v4);
  CHECK(mapped->family() == AF_INET);
  CHECK(Address::from(v4->for_family(AF_INET6)) == *v4);
  CHECK(std::hash<Address>()(*mapped) == std::hash<Address>()(*v4));
}

TEST_CASE("address: a scope belongs to link-local addresses only", "[address]") {
  const auto loopback = static_cast<std::uint32_t>(::if_nametoindex("lo"));
  REQUIRE(loopback != 0);
  const auto global = Address::parse("[2001:db8::1]:80"), local = Address::parse("[fe80::1]:80");
  CHECK(Address::from(raw_v6(*global, loopback)) == *global);
  const Address scoped = Address::from(raw_v6(*local, loopback));
  CHECK(scoped != *local);
  CHECK(scoped.scope() == loopback);
  CHECK(scoped.text() == "[fe80::1%lo]:80");
  CHECK(Address::parse("[fe80::1%lo]:80") == scoped);
}

TEST_CASE("address: it is an ordered, hashable value", "[address]") {
  const auto a = *Address::parse("10.0.0.1:80"), b = *Address::parse("10.0.0.2:80"), c = *Address::parse("10.0.0.1:81");
  CHECK(a < b);
  CHECK(a != c);
  CHECK(a.with_port(81) == c);
  CHECK(std::set<Address>{b, a, c, a}.size() == 3);
  CHECK(std::unordered_set<Address>{b, a, c, a}.size() == 3);
  CHECK(a == Address::ipv4(0x0a000001, 80));
}

TEST_CASE("address: nothing is unspecified, any is the wildcard", "[address]") {
  CHECK(Address().family() == AF_UNSPEC);
  CHECK(Address::any(80).is_wildcard());
  CHECK(Address::parse("0.0.0.0:80")->is_wildcard());
  CHECK_FALSE(Address::parse("127.0.0.1:80")->is_wildcard());
}

TEST_CASE("address: host and port are split without resolving", "[address]") {
  const auto split = [](std::string_view text, std::optional<std::uint16_t> port = {}) {
    const HostPort parts = parse_host_port(text, port);
    return parts.host + " " + std::to_string(parts.port);
  };
  CHECK(split("proxy.example:5555") == "proxy.example 5555");
  CHECK(split("proxy.example", 5555) == "proxy.example 5555");
  CHECK(split("proxy.example:1", 5555) == "proxy.example 1");
  CHECK(split(":80") == " 80");
  CHECK(split("[::1]:80") == "::1 80");
  CHECK(split("[::1]", 5555) == "::1 5555");
  CHECK(split("::1", 5555) == "::1 5555");
}

TEST_CASE("address: a wrong endpoint is named, with what is wrong and what would be right", "[address]") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({{"", "empty address"},
                                                                     {"host", "no port"},
                                                                     {"host:", "no port after ':'"},
                                                                     {"host:http", "'http' is not a port (0 to 65535)"},
                                                                     {"host:7e5", "'7e5' is not a port (0 to 65535)"},
                                                                     {"[::1", "'[' without ']'"},
                                                                     {"[x]:80", "not an IPv6 address"}}));
  const auto message = "'" + text + "': " + why + " (want ADDR:PORT)";
  const bool bracket = text == "[::1";  // "[::1" ends where a port would stand
  CHECK_THROWS_WITH(parse_host_port(text), bracket ? Contains("'[::1'") : Contains(message));
  CHECK_THROWS_AS(parse_host_port(text), UsageError);
}

TEST_CASE("address: a listening endpoint is numeric", "[address]") {
  CHECK(parse_listen_address(":80") == Address::any(80));
  CHECK(parse_listen_address("*:80") == Address::any(80));
  CHECK(parse_listen_address("127.0.0.1:80") == *Address::parse("127.0.0.1:80"));
  CHECK(parse_listen_address("[::1]:80") == *Address::parse("[::1]:80"));
  CHECK_THROWS_WITH(parse_listen_address("localhost:80"), Contains("'localhost' is not an IP address"));
}

TEST_CASE("address: names are resolved, numbers need no resolver", "[address]") {
  CHECK(resolve({"127.0.0.1", 80}) == std::vector{*Address::parse("127.0.0.1:80")});
  for (const Address& address : resolve({"localhost", 80})) CHECK(address.port() == 80);
  CHECK_THROWS_WITH(resolve({"no-such-name.invalid", 80}), Contains("cannot resolve 'no-such-name.invalid': "));
}

TEST_CASE("address: an address of this machine is told from another's", "[address]") {
  CHECK(is_local(*Address::parse("127.0.0.1:80")));
  CHECK_FALSE(is_local(*Address::parse("192.0.2.1:80")));
}

TEST_CASE("cidr: a range holds the addresses that share its first bits", "[address]") {
  const auto holds = [](const char* range, const char* ip) {
    return Cidr::parse(range).contains(*Address::parse_ip(ip));
  };
  CHECK(holds("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
  CHECK(holds("10.1.2.3/8", "10.9.9.9"));
  CHECK(holds("172.16.0.0/12", "172.31.255.255"));
  CHECK_FALSE(holds("172.16.0.0/12", "172.32.0.0"));
  CHECK(holds("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(holds("192.0.2.7", "192.0.2.6"));
  CHECK(holds("0.0.0.0/0", "255.1.1.1"));
  CHECK_FALSE(holds("0.0.0.0/0", "::1"));
  CHECK(holds("fe80::/10", "febf::1"));
  CHECK_FALSE(holds("fe80::/10", "fec0::1"));
  CHECK(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
  CHECK(Cidr::parse("10.0.0.0/8").text() == "10.0.0.0/8");
}

TEST_CASE("cidr: what is no range says so", "[address]") {
  for (const char* text : {"", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "host/8", "/8"})
    CHECK_THROWS_WITH(Cidr::parse(text), Contains("is not an address range (want 10.0.0.0/8)"));
}
