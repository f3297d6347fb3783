#pragma once

#include "proxy/backend.hpp"
#include "proxy/monitoring_fixture.hpp"

namespace farol::test {

using namespace farol::proxy;

inline constexpr Duration kTimeout = 500ms;
inline const MonitoringConfig kTimers;
inline const WeightedConfig kConfig;
inline const AgentPath kPath{at("10.0.0.1:5555"), at("10.0.0.9:5555"), 2};

/// A back-end whose agent was admitted at kStart.
struct Row : Backend {
  Row() : Backend(1, {at("10.0.0.1:80"), 7}, "web", Source::agent, kConfig) { adopt(kPath, 42, kStart); }
};
struct StaticRow : Backend {
  StaticRow() : Backend(1, {at("10.0.0.1:80"), 7}, "web", Source::configured, kConfig) {}
};

inline monitoring::ProbeResponse answer(const monitoring::ProbeRequest& request, bool listening = true) {
  return {{80, 7, 42}, request.sequence, request.nonce, {1700, 8900, 5, 2}, listening, false};
}

}  // namespace farol::test
