#pragma once

#include <string_view>

#include "dashboard/dashboard.hpp"
#include "gateway/status.hpp"
#include "http/admin_access.hpp"
#include "http/server.hpp"

namespace farol::gateway {

/// The gateway's own endpoint, apart from the files: dashboard, health, the status as JSON and as metrics. It only reads;
/// who may ask is http::AdminAccess's to say. Owned by GatewayServer; borrows the view and the dashboard, which must
/// outlive it. Any thread.
class Admin {
 public:
  Admin(const GatewayView& gateway, http::AdminAccess access, dashboard::Dashboard& dashboard)
      : gateway_(gateway), access_(std::move(access)), dashboard_(dashboard) {}

  [[nodiscard]] http::Response respond(const http::Request& request) const;

 private:
  [[nodiscard]] http::Response route(const http::Request& request, std::string_view path) const;
  [[nodiscard]] http::Response readiness() const;

  const GatewayView& gateway_;
  const http::AdminAccess access_;
  dashboard::Dashboard& dashboard_;
};

}  // namespace farol::gateway
