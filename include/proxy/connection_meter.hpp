#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "common/clock.hpp"
#include "proxy/signals.hpp"

namespace farol::proxy {

/// What one connection tells of its back-end. A connection is busy while a reply is owed (from the choice on, and
/// whenever the client spoke last) or flows. Changes cost one addition, everything else a load: a reply that flows on
/// is counted once a tick, and that it has ended is known by its not being counted again, without a timer.
/// client_spoke() and server_spoke() are each for one thread at a time; the rest before and after both.
class ConnectionMeter {
 public:
  /// REQUIRES: the connection has been counted as opened() in `signals`. It outlives the meter.
  ConnectionMeter(BackendSignals& signals, TimePoint chosen)
      : signals_(&signals), chosen_(chosen), connected_(chosen) {}
  ConnectionMeter(ConnectionMeter&& other) noexcept
      : signals_(std::exchange(other.signals_, nullptr)),
        chosen_(other.chosen_),
        connected_(other.connected_) {}
  ConnectionMeter& operator=(ConnectionMeter&&) = delete;
  ~ConnectionMeter() { end(); }

  /// It counts until it has ended, or was moved from. The end gives its count back, which is the last that may touch
  /// the row.
  [[nodiscard]] bool counts() const { return signals_ != nullptr; }
  void end() noexcept {
    if (!counts()) return;
    signals_->mark();  // before the count: who looks in between looks again at the tick
    std::exchange(signals_, nullptr)->closed(owed_.load(std::memory_order_relaxed));
  }

  void connected(TimePoint now) { connected_ = now; }
  [[nodiscard]] TimePoint connected_at() const { return connected_; }
  [[nodiscard]] Duration connect_time() const { return connected_ - chosen_; }
  void client_spoke(TimePoint now) noexcept {
    if (asked_.load(std::memory_order_relaxed) == 0)
      asked_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    if (owed_.load(std::memory_order_relaxed) || owed_.exchange(true)) return;
    signals_->owes();
    signals_->mark();
  }
  void server_spoke(TimePoint now) noexcept {
    const auto tick = static_cast<std::uint32_t>(now.time_since_epoch() / kTick);
    if (owed_.load(std::memory_order_relaxed) && owed_.exchange(false)) {
      signals_->paid();
      signals_->mark();
      if (!std::exchange(answered_, true)) signals_->first_byte(now - chosen_ - client_silence());
    } else if (tick != last_tick_) {
      signals_->flowed();
    }
    last_tick_ = tick;
  }
  /// Its back-end's connections are being closed, and it is this one's turn. Connections draw their lots by where they are
  /// in memory, which spreads them evenly.
  [[nodiscard]] bool to_be_closed(TimePoint now) const noexcept {
    const auto place = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
    return signals_->closes(now, static_cast<std::uint32_t>(place * 0x9E3779B97F4A7C15U >> 32));
  }
  /// The back-end has sent nothing yet. For the thread of server_spoke().
  [[nodiscard]] bool unanswered() const { return !answered_; }

 private:
  /// What the client took before it said anything is not the back-end's time.
  [[nodiscard]] Duration client_silence() const {
    const Clock::rep asked = asked_.load(std::memory_order_relaxed);
    return asked == 0 ? Duration::zero()
                      : std::max(TimePoint(Duration(asked)) - connected_, Duration::zero());
  }

  BackendSignals* signals_;
  TimePoint chosen_, connected_;
  std::atomic<Clock::rep> asked_{0};  ///< when the client first spoke; 0: not yet
  std::atomic<bool> owed_{true};
  bool answered_ = false;             ///< this and the next: the thread of server_spoke()
  std::uint32_t last_tick_ = 0;
};

}  // namespace farol::proxy
