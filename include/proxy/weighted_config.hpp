#pragma once

#include "common/clock.hpp"
#include "proxy/score.hpp"

namespace farol::proxy {

/// Every constant of the policy `weighted`, in one place. The report's formula comes first; the others were found by
/// simulation (docs/BALANCING.md): each at half or twice its value moves the mean by 3 % or less, but for the weight of
/// connections, which at half moves it by 4 %.
struct WeightedConfig {
  ScoreConfig formula;

  // Smoothing, by time constants (an old value's share falls to 1/e): for a probe each second, and each 5 s.
  Duration cpu_tau = std::chrono::seconds(40);
  Duration rtt_tau = std::chrono::seconds(10);
  Duration foreign_tau = std::chrono::seconds(10);

  double idle = 0.05;         ///< what an open connection counts on which nothing is owed and nothing flows
  double cpu_ramp = 0.25;     ///< added between the threshold and 100 %, instead of the report's cut
  double memory_ramp = 1.0;
  double tie = 0.015;         ///< scores closer than this are equal: half a connection, or 3 % of CPU
  double idle_tie = 0.3;      ///< the same while the pool has no connection at all: whoever is a little better then
                              ///< only measured at a better moment. One ideal RTT, or 60 % of CPU
  double loss_step = 0.02;    ///< one probe's share in the loss estimate
  double failure_step = 1.0 / 16;  ///< one connection's share in the failure estimate
  Duration failure_tau = std::chrono::seconds(10);  ///< it is forgotten this fast without new connections
  double band_width = 2;      ///< standard deviations by which an estimate may differ from the pool's by chance

  Duration first_byte_tau = std::chrono::seconds(2);
  double first_byte_least = 1.0 / 16, first_byte_most = 0.5;  ///< bounds of one sample's share
  Duration first_byte_trust_tau = std::chrono::seconds(10);   ///< an old time to first byte is believed less and less
  double slow_from = 1.5;     ///< slower than the pool by this factor is slow …
  double slow_most = 8;       ///< … and counts its connections up to so many times

  /// By how much an agent's own word may make a back-end better than the pool's median: so many of the connections that
  /// a back-end has on average. With 1 an agent that always says "idle" gets less than twice its fair share.
  double credit = 1;

  Duration slow_start = std::chrono::seconds(10);
  double slow_start_from = 0.1;

  /// The constants for probes at this interval: those found for 1 s and for 5 s lie on a straight line, which is
  /// followed in between and above. Below 1 s they stay: what they smooth is the load's noise, not the sampling's.
  static WeightedConfig for_interval(Duration probe_interval);
};

}  // namespace farol::proxy
