#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/secret_file.hpp"
#include "http/request_parser.hpp"

namespace farol::http {

/// Who may ask what of the admin endpoint. To read takes no password: who must not read must not reach the port, which is
/// loopback's unless told otherwise. What is to be kept out is one stranger who gets there anyway, a web page in the
/// operator's browser:
///  - a page whose own name was re-pointed to this address (DNS rebinding) is "same site" to the browser, but its name
///    shows: Host must be an IP address, localhost, this machine's own name, or one of those it is told;
///  - a change is a POST of application/json, which no HTML form can send, and a cross-site script not without asking;
///    and where a browser says which page it comes from (Origin) that must be a page of this very endpoint.
/// To change something takes, besides, the token where there is one; without one it takes an endpoint on loopback.
/// A value; any thread.
class AdminAccess {
 public:
  struct Refusal {
    int status = 0;
    std::string words;
  };

  /// `listen` is the address that the endpoint is served on, `names` those it may be called by besides.
  AdminAccess(const Address& listen, std::optional<Token> token = std::nullopt, std::vector<std::string> names = {});

  /// Why this request may not even read; empty: it may.
  [[nodiscard]] std::optional<Refusal> refuses(const Request& request) const;
  /// Why this one may not change anything, that one may read.
  [[nodiscard]] std::optional<Refusal> refuses_change(const Request& request) const;

 private:
  [[nodiscard]] bool is_own_name(std::string_view host) const;

  const bool loopback_;
  const std::optional<Token> token_;
  std::vector<std::string> names_;
};

}  // namespace farol::http
