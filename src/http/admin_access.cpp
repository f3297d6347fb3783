#include "http/admin_access.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "http/text.hpp"

namespace farol::http {
namespace {

std::string own_host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

bool is_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && content_type.back() == ' ') content_type.remove_suffix(1);
  return same_word(content_type, "application/json");
}

/// `Origin: http://127.0.0.1:8404` to Host `127.0.0.1:8404`; "null" and everything odd is a stranger.
bool is_same_origin(std::string_view origin, std::string_view host) {
  const auto scheme = origin.find("://");
  return scheme != std::string_view::npos && !host.empty() && same_word(origin.substr(scheme + 3), host);
}

/// What "Bearer …" shows (RFC 6750, 2.1).
std::string shown_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!same_word(authorization.substr(0, kScheme.size()), kScheme)) return {};
  return std::string(authorization.substr(kScheme.size()));
}

}  // namespace

AdminAccess::AdminAccess(const Address& listen, std::optional<Token> token, std::vector<std::string> names)
    : loopback_(is_loopback(listen)), token_(std::move(token)), names_(std::move(names)) {
  names_.emplace_back("localhost");
  if (const std::string own = own_host_name(); !own.empty()) names_.push_back(own);
}

/// Names that no stranger can point here.
bool AdminAccess::is_own_name(std::string_view host) const {
  const auto is_host = [host](const std::string& name) { return same_word(name, host); };
  return Address::parse_ip(host).has_value() || std::any_of(names_.begin(), names_.end(), is_host);
}

std::optional<AdminAccess::Refusal> AdminAccess::refuses(const Request& request) const {
  const auto host = request.field("Host");
  if (host.empty() || is_own_name(host_of(host))) return std::nullopt;
  return Refusal{403,
                 "the Host field must be an IP address, localhost, this machine's name or one of --admin-name (it guards "
                 "against DNS rebinding)"};
}

std::optional<AdminAccess::Refusal> AdminAccess::refuses_change(const Request& request) const {
  if (const auto origin = request.field("Origin"); !origin.empty() && !is_same_origin(origin, request.field("Host")))
    return Refusal{403, "a web page of another origin may not change states"};
  if (!is_json(request.field("Content-Type"))) return Refusal{415, "want Content-Type: application/json"};
  if (!token_ && !loopback_)
    return Refusal{403, "this endpoint is not on loopback: changes need --admin-token-file"};
  if (token_ && !token_->is(shown_token(request.field("Authorization"))))
    return Refusal{401, "want Authorization: Bearer and the token of --admin-token-file (proxyctl --token-file)"};
  return std::nullopt;
}

}  // namespace farol::http
