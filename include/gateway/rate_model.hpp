#pragma once

#include <array>
#include <cstdint>

#include "common/clock.hpp"
#include "gateway/rtt_estimate.hpp"

namespace farol::gateway {

/// How much may be asked of one server at once: a model of its path in the manner of BBR (Cardwell et al., 2016), but
/// run by the receiver, which is the one who asks. The window follows the bandwidth that was delivered, not the packets
/// that were lost; loss slows it down only together with a queue that grows, or when it is heavy (RFC 8085, 3.1: bulk
/// transfer must react to congestion). Loss at random therefore costs the chunks it hits and nothing else.
///
/// Counts chunks: one datagram each. Rounds last one round trip. Not thread-safe.
class RateModel {
 public:
  /// `most`: the largest window, what the receive buffer holds.
  explicit RateModel(unsigned most) : most_(most), ceiling_(most) {}

  void sent(TimePoint now, unsigned chunks);
  void delivered(TimePoint now, unsigned chunks);
  void lost(TimePoint now, unsigned chunks);
  /// There was room, and nothing to ask for: what is delivered now says nothing about what could be.
  void not_used_up() { used_up_ = false; }
  /// Nothing comes any more (persistent congestion, RFC 9002, 7.6): start over, slowly.
  void collapse();

  /// Chunks asked for and neither delivered nor given up.
  [[nodiscard]] unsigned in_flight() const { return in_flight_; }
  [[nodiscard]] unsigned window() const;
  [[nodiscard]] unsigned room() const { return window() > in_flight_ ? window() - in_flight_ : 0; }
  /// Chunks per second: measured, or a guess from the window until it is.
  [[nodiscard]] double rate() const;

  RttEstimate rtt;

 private:
  static constexpr std::size_t kRounds = 10;

  void begin_round(TimePoint now);
  void end_round(TimePoint now);
  void judge(double rate);
  [[nodiscard]] double best_rate() const;
  void leave_startup();

  unsigned most_;
  unsigned in_flight_ = 0;
  bool starting_ = true;
  double window_ = 32;   ///< during startup
  double ceiling_;       ///< what congestion has taught
  std::array<double, kRounds> rates_{};  ///< of the last rounds; the best counts
  std::size_t round_ = 0;
  double best_in_startup_ = 0;
  unsigned rounds_without_growth_ = 0;

  TimePoint round_began_{};
  bool in_round_ = false;
  bool used_up_ = true;
  unsigned delivered_ = 0;  ///< in this round
  unsigned lost_ = 0;
};

}  // namespace farol::gateway
