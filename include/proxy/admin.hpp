#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "common/address.hpp"
#include "common/snapshot.hpp"
#include "dashboard/dashboard.hpp"
#include "http/admin_access.hpp"
#include "http/request_parser.hpp"
#include "http/response.hpp"
#include "http/server.hpp"
#include "proxy/proxy_view.hpp"

namespace farol::proxy {

/// The admin endpoint: dashboard, health, the status as JSON and as metrics, and the operator's word on a back-end. Who may
/// ask is http::AdminAccess's to say.
///
/// Owned by main; borrows the view and the dashboard, which must outlive it. Any thread.
class Admin {
 public:
  /// Without a dashboard there is no page.
  Admin(ProxyView& proxy, http::AdminAccess access, dashboard::Dashboard* dashboard = nullptr);

  /// `peer` is who asks, for the log.
  [[nodiscard]] http::Response respond(const http::Request& request, const Address& peer = {}) const;
  /// From the next request on.
  void change_access(http::AdminAccess access) { access_.set(std::move(access)); }

  /// What the HTTP server needs to serve a connection from `peer`; the Admin must outlive it.
  [[nodiscard]] http::Responder responder(const Address& peer) const;
  /// Header limits as everywhere, and the small bodies of the state changes.
  static http::Limits limits();

 private:
  [[nodiscard]] http::Response route(const http::Request& request, std::string_view path, const Address& peer) const;
  [[nodiscard]] http::Response health() const;
  [[nodiscard]] http::Response readiness() const;
  [[nodiscard]] http::Response status() const;
  [[nodiscard]] http::Response decisions() const;
  [[nodiscard]] http::Response metrics() const;
  [[nodiscard]] http::Response change_state(const http::Request& request, const std::string& backend,
                                            const Address& peer) const;
  [[nodiscard]] http::Response upgrade(const http::Request& request) const;
  [[nodiscard]] http::Response changed(const std::string& backend, AdminState wanted) const;
  [[nodiscard]] http::Response ambiguous(const std::string& backend) const;

  ProxyView& proxy_;
  Snapshot<http::AdminAccess> access_;
  dashboard::Dashboard* const dashboard_;
};

}  // namespace farol::proxy
