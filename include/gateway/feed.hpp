#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "common/mutex.hpp"
#include "dashboard/feed.hpp"
#include "dashboard/history.hpp"
#include "dashboard/journal.hpp"
#include "dashboard/sheet.hpp"
#include "gateway/status.hpp"

namespace farol::gateway {

/// What is shown of a server's condition: its state, `suspect` said as "silent", and "left out" when it is heard but its
/// chunks do not arrive.
const char* condition_of(const ServerStatus& server);
/// Why it is in it, in words.
const char* cause_of(const ServerStatus& server);

/// What the gateway's dashboard shows: the status, what happened to whom, and 15 minutes of figures. A row is that of
/// /api/v1/status with the moment of the last word instead of its age (`heard_at_ms`, on the clock of `now_ms`), with the
/// condition as its `state`, and with what came since the sample before. Rows are known by the servers' names, of which
/// the pool has each but once. Owned by GatewayServer; borrows the view, which must outlive it. Any thread; the view is
/// asked outside the lock.
class GatewayFeed final : public dashboard::Feed {
 public:
  explicit GatewayFeed(const GatewayView& gateway) : gateway_(gateway) {}

  void sample(TimePoint now, std::chrono::system_clock::time_point wall) override;
  Text snapshot() override;
  Text changes() override;
  std::optional<std::string> history(const std::string& id) override;

 private:
  static constexpr std::array kSeries{"rate", "possible", "rtt_ms", "in_flight", "window", "lost", "duplicate"};
  struct Flow {
    std::uint64_t chunks = 0, lost = 0, duplicates = 0;  ///< at the last sample
    std::optional<double> rate, lost_rate, duplicate_rate;  ///< per second: bytes, chunks, chunks; none at the first
  };

  std::map<std::string, Flow> flows(const PoolStatus& pool, double seconds) const REQUIRES(mutex_);
  void render() REQUIRES(mutex_);
  [[nodiscard]] std::string head() const REQUIRES(mutex_);
  [[nodiscard]] Text text(std::string json) const REQUIRES(mutex_);

  const GatewayView& gateway_;
  Mutex mutex_;
  std::uint64_t sample_ GUARDED_BY(mutex_) = 0;
  TimePoint now_ GUARDED_BY(mutex_){};
  std::chrono::system_clock::time_point wall_ GUARDED_BY(mutex_);
  GatewayStatus status_ GUARDED_BY(mutex_);
  std::map<std::string, Flow> flows_ GUARDED_BY(mutex_);
  dashboard::Journal journal_ GUARDED_BY(mutex_);
  dashboard::History history_ GUARDED_BY(mutex_){kSeries.size()};
  dashboard::Sheet sheet_ GUARDED_BY(mutex_);
  std::optional<Text> snapshot_ GUARDED_BY(mutex_), changes_ GUARDED_BY(mutex_);  ///< once rendered
};

}  // namespace farol::gateway
