#pragma once

#include "common/histogram.hpp"
#include "gateway/status.hpp"

namespace farol::test {

/// A gateway whose status a test writes: two file servers that are up.
class FakeGateway final : public gateway::GatewayView {
 public:
  FakeGateway() {
    now.engine = "threads";
    now.first_byte = Histogram(kMomentBounds).counts();
    now.transfer_time = Histogram(kSpanBounds).counts();
    now.pool.chunk_rtt = Histogram(kMomentBounds).counts();
    now.pool.ready = true;
    add("one", "10.0.0.1:9000");
    add("two", "10.0.0.2:9000");
  }
  void add(const std::string& name, const std::string& address) {
    gateway::ServerStatus server;
    server.name = name;
    server.address = *Address::parse(address);
    now.pool.servers.push_back(server);
  }
  [[nodiscard]] gateway::GatewayStatus status() const override { return now; }

  gateway::GatewayStatus now;
};

}  // namespace farol::test
