#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "dashboard/board.hpp"
#include "proxy/proxy_view.hpp"

namespace farol::proxy {

/// What the proxy's dashboard shows: the status, what happened to whom, the last choices, and 15 minutes of figures.
/// A row is that of /api/v1/status with two moments instead of ages, so that it changes only when something did:
/// `reported_at_ms` and `ejected_until_ms`, on the clock of `now_ms`. Owned by main; borrows the view, which must
/// outlive it. Any thread; the view is asked for choices only when somebody watches.
class ProxyFeed final : public dashboard::Board {
 public:
  explicit ProxyFeed(const ProxyView& proxy) : Board("backends", kSeries), proxy_(proxy) {}

  void sample(TimePoint now, WallTime wall) override;

 private:
  static constexpr std::array kSeries{"score", "rtt_ms", "loss", "tcp", "cpu", "memory", "active", "rate"};
  struct Flow {
    std::uint64_t total = 0;        ///< connections at the last sample
    std::optional<double> rate;     ///< per second; none at the first
  };

  std::map<std::string, Flow> flows(const ProxyStatus& status, double seconds) const REQUIRES(mutex_);
  [[nodiscard]] dashboard::Sheet::Rows rows() const override REQUIRES(mutex_);
  [[nodiscard]] nlohmann::json summary() const override REQUIRES(mutex_);
  [[nodiscard]] nlohmann::json lists(TimePoint since) const override REQUIRES(mutex_);

  const ProxyView& proxy_;
  ProxyStatus status_ GUARDED_BY(mutex_);
  std::map<std::string, Flow> flows_ GUARDED_BY(mutex_);
};

}  // namespace farol::proxy
