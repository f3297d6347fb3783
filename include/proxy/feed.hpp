#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "dashboard/feed.hpp"
#include "dashboard/history.hpp"
#include "dashboard/journal.hpp"
#include "dashboard/sheet.hpp"
#include "proxy/decision.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// What the proxy's dashboard shows: the status, what happened to whom, the last choices, and 15 minutes of figures.
/// A row is that of /api/v1/status with two moments instead of ages, so that it changes only when something did:
/// `reported_at_ms` and `ejected_until_ms`, on the clock of `now_ms`. Owned by main; borrows the view, which must
/// outlive it. Any thread; the view is asked outside the lock, and for choices only when somebody watches.
class ProxyFeed final : public dashboard::Feed {
 public:
  explicit ProxyFeed(const ProxyView& proxy) : proxy_(proxy) {}

  void sample(TimePoint now, std::chrono::system_clock::time_point wall) override;
  Text snapshot() override;
  Text changes() override;
  std::optional<std::string> history(const std::string& id) override;

 private:
  static constexpr std::array kSeries{"score", "rtt_ms", "loss", "tcp", "cpu", "memory", "active", "rate"};
  struct Flow {
    std::uint64_t total = 0;        ///< connections at the last sample
    std::optional<double> rate;     ///< per second; none at the first
    bool operator==(const Flow&) const = default;
  };

  std::map<std::string, Flow> flows(const ProxyStatus& status, double seconds) const REQUIRES(mutex_);
  void render() REQUIRES(mutex_);
  [[nodiscard]] std::string head() const REQUIRES(mutex_);
  [[nodiscard]] std::string told(const std::vector<Decision>& decisions, std::size_t most, TimePoint after) const
      REQUIRES(mutex_);
  [[nodiscard]] Text text(std::string json) const REQUIRES(mutex_);

  const ProxyView& proxy_;
  Mutex mutex_;
  std::uint64_t sample_ GUARDED_BY(mutex_) = 0;
  TimePoint now_ GUARDED_BY(mutex_){}, last_ GUARDED_BY(mutex_){};  ///< of this sample and the one before
  std::chrono::system_clock::time_point wall_ GUARDED_BY(mutex_);
  ProxyStatus status_ GUARDED_BY(mutex_);
  std::map<std::string, Flow> flows_ GUARDED_BY(mutex_);
  dashboard::Journal journal_ GUARDED_BY(mutex_);
  dashboard::History history_ GUARDED_BY(mutex_){kSeries.size()};
  dashboard::Sheet sheet_ GUARDED_BY(mutex_);
  std::optional<Text> snapshot_ GUARDED_BY(mutex_), changes_ GUARDED_BY(mutex_);  ///< once rendered
};

}  // namespace farol::proxy
