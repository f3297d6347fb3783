#include "common/address.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

}  // namespace

Address Address::from(const SockAddr& raw) {
  Address result;
  if (raw.storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &raw.storage, sizeof in);
    return ipv4(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
  }
  if (raw.storage.ss_family != AF_INET6) return result;
  sockaddr_in6 in{};
  std::memcpy(&in, &raw.storage, sizeof in);
  result.port_ = ntohs(in.sin6_port);
  const auto* bytes = in.sin6_addr.s6_addr;
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes)) {
    result.family_ = AF_INET;
    std::copy(bytes + 12, bytes + 16, result.ip_.begin());
    return result;
  }
  result.family_ = AF_INET6;
  std::copy(bytes, bytes + 16, result.ip_.begin());
  if (IN6_IS_ADDR_LINKLOCAL(&in.sin6_addr)) result.scope_ = in.sin6_scope_id;
  return result;
}

Address Address::ipv4(std::uint32_t host_order_ip, std::uint16_t port) {
  Address result;
  result.family_ = AF_INET;
  result.port_ = port;
  for (std::size_t i = 0; i < 4; ++i) result.ip_[i] = static_cast<std::uint8_t>(host_order_ip >> (24 - 8 * i));
  return result;
}

Address Address::any(std::uint16_t port) {
  Address result;
  result.family_ = AF_INET6;
  result.port_ = port;
  return result;
}

std::optional<Address> Address::parse_ip(std::string_view text, std::uint16_t port) {
  SockAddr raw;
  const std::string whole(text);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&raw.storage);
  if (::inet_pton(AF_INET, whole.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return from(raw);
  }
  const auto percent = whole.find('%');
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&raw.storage);
  if (::inet_pton(AF_INET6, whole.substr(0, percent).c_str(), &v6->sin6_addr) != 1) return std::nullopt;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  v6->sin6_scope_id = 0;
  if (percent != std::string::npos) {
    v6->sin6_scope_id = ::if_nametoindex(whole.c_str() + percent + 1);
    if (v6->sin6_scope_id == 0) return std::nullopt;
  }
  return from(raw);
}

std::optional<Address> Address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (!port || host.empty()) return std::nullopt;
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto result = parse_ip(host, *port);
  if (result && !bracketed && host.find(':') != std::string_view::npos) return std::nullopt;
  return result;
}

SockAddr Address::for_family(int socket_family) const {
  SockAddr raw;
  if (socket_family == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    std::memcpy(&in.sin_addr, ip_.data(), 4);
    std::memcpy(&raw.storage, &in, sizeof in);
    raw.size = sizeof in;
    return raw;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port_);
  in.sin6_scope_id = scope_;
  if (family_ == AF_INET) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), in.sin6_addr.s6_addr);
    std::copy(ip_.begin(), ip_.begin() + 4, in.sin6_addr.s6_addr + 12);
  } else {
    std::copy(ip_.begin(), ip_.end(), in.sin6_addr.s6_addr);
  }
  std::memcpy(&raw.storage, &in, sizeof in);
  raw.size = sizeof in;
  return raw;
}

std::string Address::ip_text() const {
  if (family_ == AF_UNSPEC) return "-";
  char buffer[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family_, ip_.data(), buffer, sizeof buffer);
  std::string result = buffer;
  if (scope_ != 0) {
    char name[IF_NAMESIZE] = "";
    result += '%';
    result += ::if_indextoname(scope_, name) != nullptr ? std::string(name) : std::to_string(scope_);
  }
  return result;
}

std::string Address::text() const {
  const std::string ip = ip_text();
  return (family_ == AF_INET6 ? "[" + ip + "]" : ip) + ":" + std::to_string(port_);
}

Address Address::with_port(std::uint16_t port) const {
  Address result = *this;
  result.port_ = port;
  return result;
}

Address Address::network(int bits) const {
  Address result = with_port(0);
  for (int bit = bits; bit < 8 * static_cast<int>(ip_.size()); ++bit)
    result.ip_[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80 >> (bit % 8)));
  return result;
}

bool Address::is_wildcard() const {
  return std::all_of(ip_.begin(), ip_.end(), [](std::uint8_t byte) { return byte == 0; });
}

HostPort parse_host_port(std::string_view text, std::optional<std::uint16_t> default_port) {
  const std::string wanted = default_port ? "HOST[:PORT]" : "ADDR:PORT";
  const auto fail = [&](std::string_view why) -> UsageError {
    return UsageError("'" + std::string(text) + "': " + std::string(why) + " (want " + wanted + ")");
  };
  if (text.empty()) throw fail("empty address");
  std::string_view host = text, port;
  const auto colon = text.rfind(':');
  const bool bare_v6 = std::count(text.begin(), text.end(), ':') > 1 && text.front() != '[';
  const bool bracket_only = text.back() == ']';
  if (colon != std::string_view::npos && !bare_v6 && !bracket_only) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) throw fail("no port after ':'");
  }
  if (port.empty() && !default_port) throw fail("no port");
  const auto number = port.empty() ? default_port : parse_port(port);
  if (!number) throw fail("'" + std::string(port) + "' is not a port (0 to 65535)");
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') throw fail("'[' without ']'");
    host = host.substr(1, host.size() - 2);
    if (!Address::parse_ip(host)) throw fail("not an IPv6 address");
  }
  return {std::string(host), *number};
}

Address parse_listen_address(std::string_view text, std::optional<std::uint16_t> default_port) {
  const HostPort parts = parse_host_port(text, default_port);
  if (parts.host.empty() || parts.host == "*") return Address::any(parts.port);
  if (const auto address = Address::parse_ip(parts.host, parts.port)) return *address;
  throw UsageError("'" + std::string(text) + "': '" + parts.host +
                   "' is not an IP address (listen on 127.0.0.1:PORT, [::1]:PORT or :PORT for all)");
}

std::vector<Address> resolve(const HostPort& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (const auto numeric = Address::parse_ip(target.host, target.port)) return {*numeric};
  const int error = ::getaddrinfo(target.host.c_str(), nullptr, &hints, &list);
  if (error != 0)
    throw std::runtime_error("cannot resolve '" + target.host +
                             "': " + (error == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(error)));
  std::vector<Address> result;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SockAddr raw;
    std::memcpy(&raw.storage, entry->ai_addr, entry->ai_addrlen);
    const Address address = Address::from(raw).with_port(target.port);
    if (std::find(result.begin(), result.end(), address) == result.end()) result.push_back(address);
  }
  ::freeaddrinfo(list);
  return result;
}

bool is_local(const Address& address) {
  // Not by trying to bind: with net.ipv4.ip_nonlocal_bind (usual beside keepalived) every address can be bound.
  if (address.family() == AF_INET && address.bytes()[0] == 127) return true;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  bool found = false;
  for (const ifaddrs* entry = list; entry != nullptr && !found; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    SockAddr raw;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    std::memcpy(&raw.storage, entry->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    found = Address::from(raw).with_port(0) == address.with_port(0);
  }
  ::freeifaddrs(list);
  return found;
}

bool overlap(const Address& a, const Address& b) {
  const auto has = [](const Address& wildcard, const Address& other) {
    return wildcard.is_wildcard() && (wildcard.family() == AF_INET6 || other.family() == AF_INET);
  };
  return a.port() == b.port() && a.port() != 0 && (a == b || has(a, b) || has(b, a));
}

bool reaches(const Address& service, const Address& listener) {
  return overlap(service, listener) && (service == listener || is_local(service));
}

Cidr Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto base = Address::parse_ip(text.substr(0, slash));
  const auto fail = [&] { return UsageError("'" + std::string(text) + "' is not an address range (want 10.0.0.0/8)"); };
  if (!base) throw fail();
  Cidr result;
  result.base_ = *base;
  const int widest = base->family() == AF_INET ? 32 : 128;
  result.bits_ = widest;
  if (slash != std::string_view::npos) {
    const auto bits = parse_port(text.substr(slash + 1));
    if (!bits || *bits > widest) throw fail();
    result.bits_ = *bits;
  }
  return result;
}

bool Cidr::contains(const Address& address) const {
  if (address.family() != base_.family()) return false;
  for (int bit = 0; bit < bits_; ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if ((address.bytes()[byte] & mask) != (base_.bytes()[byte] & mask)) return false;
  }
  return true;
}

std::string Cidr::text() const { return base_.ip_text() + "/" + std::to_string(bits_); }

bool is_loopback(const Address& address) {
  return Cidr::parse("127.0.0.0/8").contains(address) || Cidr::parse("::1").contains(address);
}

std::vector<Cidr> private_ranges() {
  std::vector<Cidr> ranges;
  for (const char* text : {"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128",
                           "fc00::/7", "fe80::/10"})
    ranges.push_back(Cidr::parse(text));
  return ranges;
}

}  // namespace farol

std::size_t std::hash<farol::Address>::operator()(const farol::Address& address) const noexcept {
  std::size_t h = address.port();
  for (const std::uint8_t byte : address.bytes()) h = h * 1099511628211ULL ^ byte;
  return h ^ address.scope();
}
