#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farol {

/// A socket address in the form system calls want.
struct SockAddr {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// An IP address and port: a value, comparable and hashable, so it can be an identity. IPv4-mapped IPv6 addresses are
/// normalised to IPv4; a scope id is kept for link-local addresses only, where it belongs to the identity.
class Address {
 public:
  /// Unspecified: family() is AF_UNSPEC.
  Address() = default;
  static Address from(const SockAddr& raw);
  static Address ipv4(std::uint32_t host_order_ip, std::uint16_t port);
  /// The IPv6 wildcard, which our listeners open dual stack.
  static Address any(std::uint16_t port);

  /// Numeric only: "10.1.1.1:80", "[::1]:80", "[fe80::1%eth0]:80". Empty when it is anything else.
  static std::optional<Address> parse(std::string_view text);
  /// Numeric only, without port: "10.1.1.1", "::1".
  static std::optional<Address> parse_ip(std::string_view text, std::uint16_t port = 0);

  /// For system calls on a socket of `socket_family`: an IPv4 address becomes IPv4-mapped on an AF_INET6 socket.
  [[nodiscard]] SockAddr for_family(int socket_family) const;
  [[nodiscard]] SockAddr raw() const { return for_family(family()); }

  [[nodiscard]] std::string text() const;     ///< "10.1.1.1:80", "[::1]:80"
  [[nodiscard]] std::string ip_text() const;  ///< "10.1.1.1", "::1"
  [[nodiscard]] int family() const { return family_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Address with_port(std::uint16_t port) const;
  /// The network that the first `bits` bits name, without a port.
  [[nodiscard]] Address network(int bits) const;
  [[nodiscard]] bool is_wildcard() const;
  /// The address in network order; IPv4 in the first four bytes.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return ip_; }
  [[nodiscard]] std::uint32_t scope() const { return scope_; }

  auto operator<=>(const Address&) const = default;

 private:
  std::array<std::uint8_t, 16> ip_{};
  std::uint32_t scope_ = 0;
  std::uint16_t port_ = 0;
  std::uint8_t family_ = AF_UNSPEC;
};

/// "host:port", "[v6]:port", ":port" or, with a default port, "host" and a bare IPv6 address.
struct HostPort {
  std::string host;  ///< empty: all addresses
  std::uint16_t port = 0;
};

/// Splits without resolving. Throws UsageError saying what would be right.
HostPort parse_host_port(std::string_view text, std::optional<std::uint16_t> default_port = std::nullopt);

/// A listening endpoint: numeric host or none. Throws UsageError.
Address parse_listen_address(std::string_view text, std::optional<std::uint16_t> default_port = std::nullopt);

/// All addresses of a name (numeric ones included), in the resolver's order, without duplicates. Blocks: never call it
/// on a register, answer or relay thread. Throws std::runtime_error with the resolver's words.
std::vector<Address> resolve(const HostPort& target);

/// True when the address belongs to an interface of this machine. A few system calls.
bool is_local(const Address& address);

/// True when one socket cannot listen on `a` while another listens on `b`: the same port, of which one has the other's
/// address as well. Port 0 is any that is free.
bool overlap(const Address& a, const Address& b);

/// True when who connects to `service` reaches the socket of this machine that listens on `listener`. As is_local().
bool reaches(const Address& service, const Address& listener);

/// A range of addresses, "10.0.0.0/8" or one address.
class Cidr {
 public:
  /// Throws UsageError.
  static Cidr parse(std::string_view text);
  [[nodiscard]] bool contains(const Address& address) const;
  [[nodiscard]] std::string text() const;

 private:
  Address base_;
  int bits_ = 0;
};

/// True for 127.0.0.0/8 and ::1.
bool is_loopback(const Address& address);

/// Loopback, private and link-local ranges: who may register where there is no key.
std::vector<Cidr> private_ranges();

}  // namespace farol

template <>
struct std::hash<farol::Address> {
  std::size_t operator()(const farol::Address& address) const noexcept;
};
