#pragma once

#include "common/clock.hpp"
#include "gateway/demultiplexer.hpp"
#include "http/server.hpp"

namespace farol::gateway {

/// The gateway's own endpoint, apart from the files: /healthz, /readyz (200 when some file server is up) and
/// /api/v1/status (the pool, as JSON). It only reads. Owned by main; borrows the demultiplexer. Any thread.
class Admin {
 public:
  explicit Admin(const Demultiplexer& demultiplexer) : demultiplexer_(demultiplexer) {}
  [[nodiscard]] http::Response respond(const http::Request& request) const;

 private:
  [[nodiscard]] http::Response status() const;

  const Demultiplexer& demultiplexer_;
  const TimePoint started_ = Clock::now();
};

}  // namespace farol::gateway
