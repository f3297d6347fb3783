#pragma once

#include <optional>

#include "common/clock.hpp"
#include "monitoring/packet.hpp"
#include "proxy/estimators.hpp"
#include "proxy/score.hpp"
#include "proxy/signals.hpp"
#include "proxy/status.hpp"
#include "proxy/weighted.hpp"

namespace farol::proxy {

/// All that is known of one back-end's load: what its agent reports, what probes measure, and what our own connections
/// see. Belongs to its row; no locks or clocks. Borrows `config`.
class Estimates {
 public:
  explicit Estimates(const WeightedConfig& config) : config_(config) {}

  /// A new agent speaks for it: what the old one said is void. What connections see is not.
  void new_agent();
  /// `again`: it was sent because the one before was lost, and shares its fate more often than chance would have it. So
  /// only the first of them counts as an answer or a loss for `weighted`, which forgets losses slowly.
  void probe_answered(Duration rtt, bool again, TimePoint now);
  /// `silent`: the agent was silent already. Then the loss says nothing new of its path, and `weighted` does not count it
  /// either; the report's window does, both. `first`: since the last packet in time.
  void probe_lost(bool silent, bool again, bool first);
  /// The agent speaks again after a silence, or while connects fail as well: the last losses in a row were an outage,
  /// which is over, and say nothing of the path either.
  void outage_ended() { loss_ = loss_before_; }
  /// `own_open`: our connections, which the agent counts as well.
  void take_report(const monitoring::Load& load, std::uint32_t own_open, TimePoint now);
  void connection_failed(TimePoint now) { failure_.failed(now, config_); }
  /// What relays counted since the last call, `ticks` ago. True when a first byte was among it.
  bool take_signals(BackendSignals& signals, double ticks, TimePoint now);

  [[nodiscard]] const RttEstimator& rtt() const { return rtt_; }
  [[nodiscard]] const LossWindow& loss() const { return loss_window_; }
  [[nodiscard]] const monitoring::Load& load() const { return load_; }
  [[nodiscard]] bool has_report() const { return report_at_.has_value(); }
  [[nodiscard]] std::optional<TimePoint> report_at() const { return report_at_; }
  /// Our connections on which a reply flowed in the last tick.
  [[nodiscard]] std::uint32_t flowing() const { return flowing_; }

  /// The report's score of the last report.
  [[nodiscard]] Score report_score() const;
  /// What `weighted` looks at, but for weight and slow start. `reporting`: the agent is not silent.
  [[nodiscard]] LoadView view(bool reporting, const BackendSignals& signals, TimePoint now) const;
  /// What the operator sees of it.
  void fill(BackendStatus& status, TimePoint now) const;

 private:
  const WeightedConfig& config_;
  RttEstimator rtt_;
  LossWindow loss_window_;
  monitoring::Load load_;
  std::optional<TimePoint> report_at_;
  Smoothed rtt_ms_, cpu_, foreign_;
  double loss_ = 0, loss_before_ = 0;  ///< the latter before the last losses in a row
  FailureRate failure_;
  FirstByte first_byte_;
  std::uint32_t flowing_ = 0;
};

}  // namespace farol::proxy
