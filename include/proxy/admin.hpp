#pragma once

#include <string>
#include <string_view>

#include "common/address.hpp"
#include "http/request_parser.hpp"
#include "http/response.hpp"
#include "http/server.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// The admin endpoint: health, the status as JSON, and the operator's word on a back-end. It has no users or passwords:
/// who reaches the port may use it, so it listens on loopback unless told otherwise, and defends itself against the one
/// stranger who gets there anyway, a web page in the operator's browser:
///  - a change is a POST of application/json, which no HTML form can send, and a cross-site script not without asking;
///  - a page whose own name was re-pointed to this address (DNS rebinding) is "same site" and needs no asking, but its
///    name shows: on a loopback listener Host must be an IP address or localhost, and so must the Origin of every POST
///    (browsers send it, curl and proxyctl do not, so those may use any name).
///
/// Owned by main; borrows the view, which must outlive it. Any thread.
class Admin {
 public:
  /// `listen` is the address that it is served on.
  Admin(ProxyView& proxy, const Address& listen);

  [[nodiscard]] http::Response respond(const http::Request& request) const;

  /// What the HTTP server needs to serve it; the Admin must outlive it.
  [[nodiscard]] http::Responder responder() const;
  /// Header limits as everywhere, and the small bodies of the state changes.
  static http::Limits limits();

 private:
  [[nodiscard]] http::Response route(const http::Request& request, std::string_view path) const;
  [[nodiscard]] http::Response health() const;
  [[nodiscard]] http::Response readiness() const;
  [[nodiscard]] http::Response status() const;
  [[nodiscard]] http::Response decisions() const;
  [[nodiscard]] http::Response change_state(const http::Request& request, const std::string& backend) const;
  [[nodiscard]] http::Response changed(const std::string& backend, AdminState wanted) const;
  [[nodiscard]] http::Response ambiguous(const std::string& backend) const;

  ProxyView& proxy_;
  const bool loopback_;
};

}  // namespace farol::proxy
