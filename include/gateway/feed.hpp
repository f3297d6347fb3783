#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "dashboard/board.hpp"
#include "gateway/status.hpp"

namespace farol::gateway {

/// What is shown of a server's condition: its state, `suspect` said as "silent", and "left out" when it is heard but
/// its chunks do not arrive.
const char* condition_of(const ServerStatus& server);
/// Why it is in it, in words.
const char* cause_of(const ServerStatus& server);

/// What the gateway's dashboard shows: the status, what happened to whom, and 15 minutes of figures. A row is that of
/// /api/v1/status with the moment of the last word instead of its age (`heard_at_ms`, on the clock of `now_ms`), with
/// the condition as its `state`, and with what came since the sample before. Rows are known by the servers' names, of
/// which the pool has each but once. Owned by GatewayServer; borrows the view, which must outlive it. Any thread.
class GatewayFeed final : public dashboard::Board {
 public:
  explicit GatewayFeed(const GatewayView& gateway) : Board("servers", kSeries), gateway_(gateway) {}

  void sample(TimePoint now, WallTime wall) override;

 private:
  static constexpr std::array kSeries{"rate", "possible", "rtt_ms", "in_flight", "window", "lost", "duplicate"};
  struct Flow {
    std::uint64_t chunks = 0, lost = 0, duplicates = 0;     ///< at the last sample
    std::optional<double> rate, lost_rate, duplicate_rate;  ///< per second: bytes, chunks, chunks; none at the first
  };

  std::map<std::string, Flow> flows(const PoolStatus& pool, double seconds) const REQUIRES(mutex_);
  [[nodiscard]] dashboard::Sheet::Rows rows() const override REQUIRES(mutex_);
  [[nodiscard]] nlohmann::json summary() const override REQUIRES(mutex_);

  const GatewayView& gateway_;
  GatewayStatus status_ GUARDED_BY(mutex_);
  std::map<std::string, Flow> flows_ GUARDED_BY(mutex_);
};

}  // namespace farol::gateway
