#pragma once

#include <cstdint>

#include "proxy/status.hpp"

namespace farol::proxy {

/// The report's formula (figure 4.4). Weights, ideals and thresholds with the figure's numbers as defaults; the
/// report's text says 70 % for all three thresholds, and its screens apply none.
struct ScoreConfig {
  double rtt_weight = 0.3, rtt_ideal_ms = 20;
  double tcp_weight = 0.3, tcp_ideal = 10;
  double loss_weight = 0.3, loss_ideal = 0.01;
  double cpu_weight = 0.05, cpu_ideal = 0.1;
  double memory_weight = 0.05, memory_ideal = 0.1;
  double cpu_threshold = 0.77, memory_threshold = 0.77, loss_threshold = 0.7;
};

/// What the formula looks at. Shares are 0 to 1.
struct ScoreInput {
  double rtt_ms = 0;
  std::uint32_t tcp = 0;
  double loss = 0, cpu = 0, memory = 0;
};

inline constexpr double kSaturatedScore = 100;

/// Lower is better.
struct Score {
  ScoreComponents components;
  bool saturated = false;  ///< a threshold was reached: the value is 100
  /// The report's value.
  [[nodiscard]] double value() const { return saturated ? kSaturatedScore : components.sum(); }
};

/// Pure.
Score report_score(const ScoreInput& input, const ScoreConfig& config);

}  // namespace farol::proxy
