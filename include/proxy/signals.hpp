#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/clock.hpp"

namespace farol::proxy {

/// How often the parts of a score that change by themselves are brought up to date, and the grain of "just now".
inline constexpr auto kTick = std::chrono::milliseconds(100);

/// Which back-ends of a pool have changed since the last choice: a bit for each. Marked by relays without a lock, taken
/// by whoever chooses next. A mark for a row that has moved makes one look in vain, no more.
class ChangedSet {
 public:
  explicit ChangedSet(std::size_t capacity) : words_(std::make_unique<Word[]>((capacity + 63) / 64)) {}

  /// Sequentially consistent with the counter changed before it: either the taker sees that change, or its take comes
  /// before this mark and the next one sees it.
  void mark(std::size_t slot) noexcept {
    Word& word = words_[slot / 64];
    const std::uint64_t bit = std::uint64_t{1} << slot % 64;
    if ((word.load() & bit) == 0) word.fetch_or(bit);
  }
  /// Calls `look(slot)` for each mark among the first `count` slots, and takes it away.
  template <typename Look>
  void take(std::size_t count, Look look) {
    for (std::size_t w = 0; w * 64 < count; ++w) {
      if (words_[w].load(std::memory_order_relaxed) == 0) continue;
      for (std::uint64_t bits = words_[w].exchange(0); bits != 0; bits &= bits - 1)
        if (const std::size_t slot = w * 64 + static_cast<std::size_t>(std::countr_zero(bits)); slot < count)
          look(slot);
    }
  }

 private:
  using Word = std::atomic<std::uint64_t>;
  const std::unique_ptr<Word[]> words_;
};

/// What the relays tell of one back-end, without a lock: counters on a cache line of its own. Written by every thread
/// that serves a connection to it, read by choices and by the tick. Owned by the back-end's row.
class alignas(64) BackendSignals {
 public:
  std::atomic<std::uint32_t> open{0};  ///< connections, from the choice to the end; a row stays while there is one
  std::atomic<std::uint32_t> owed{0};  ///< those on which a reply is owed: the client spoke last
  std::atomic<std::uint64_t> total{0};
  std::atomic<std::uint32_t> slot{0};  ///< its place in the pool

  /// A first byte came after `time`. Added to each is a millisecond: below that it is scheduling that differs, not load.
  void first_byte(Duration time) noexcept {
    const double us = 1000 + std::max(0.0, std::chrono::duration<double, std::micro>(time).count());
    first_bytes_.fetch_add(kOne + static_cast<std::uint64_t>(std::log(us) * kScale), std::memory_order_relaxed);
  }
  /// Bytes flowed from it on one connection in another tick than its reply began.
  void flowed() noexcept { flowing_.fetch_add(1, std::memory_order_relaxed); }

  struct FirstBytes {
    double count = 0, mean = 0;  ///< mean of the logarithms of microseconds
  };
  /// Takes the first bytes since the last call.
  FirstBytes take_first_bytes() noexcept {
    const std::uint64_t all = first_bytes_.exchange(0, std::memory_order_relaxed);
    const double count = static_cast<double>(all / kOne);
    return {count, count > 0 ? static_cast<double>(all % kOne) / kScale / count : 0};
  }
  std::uint32_t take_flowing() noexcept { return flowing_.exchange(0, std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kOne = std::uint64_t{1} << 48;  ///< count above, sum of logarithms below: one addition
  static constexpr double kScale = 1 << 20;
  std::atomic<std::uint64_t> first_bytes_{0};
  std::atomic<std::uint32_t> flowing_{0};
};

/// What one connection tells of its back-end. A connection is busy while a reply is owed (from the choice on, and
/// whenever the client spoke last) or flows. Changes cost one addition, everything else a load: a reply that flows on
/// is counted once a tick, and that it has ended is known by its not being counted again, without a timer.
/// client_spoke() and server_spoke() are each for one thread at a time; the rest before and after both.
class ConnectionMeter {
 public:
  /// REQUIRES: the connection has been counted in `signals` as open and owed. Both outlive the meter.
  ConnectionMeter(BackendSignals& signals, ChangedSet& changed, TimePoint chosen)
      : signals_(&signals), changed_(&changed), chosen_(chosen), connected_(chosen) {}
  ConnectionMeter(ConnectionMeter&& other) noexcept
      : signals_(std::exchange(other.signals_, nullptr)),
        changed_(other.changed_),
        chosen_(other.chosen_),
        connected_(other.connected_) {}
  ConnectionMeter& operator=(ConnectionMeter&&) = delete;
  ~ConnectionMeter() {
    if (signals_ == nullptr) return;
    if (owed_.load(std::memory_order_relaxed)) signals_->owed.fetch_sub(1);
    changed_->mark(signals_->slot.load(std::memory_order_relaxed));
    signals_->open.fetch_sub(1);  // last: from here on the row may go
  }

  void connected(TimePoint now) { connected_ = now; }
  void client_spoke(TimePoint now) noexcept {
    if (asked_.load(std::memory_order_relaxed) == 0)
      asked_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    if (owed_.load(std::memory_order_relaxed) || owed_.exchange(true)) return;
    signals_->owed.fetch_add(1);
    changed_->mark(signals_->slot.load(std::memory_order_relaxed));
  }
  void server_spoke(TimePoint now) noexcept {
    const auto tick = now.time_since_epoch() / kTick;
    if (owed_.load(std::memory_order_relaxed) && owed_.exchange(false)) {
      signals_->owed.fetch_sub(1);
      changed_->mark(signals_->slot.load(std::memory_order_relaxed));
      if (!std::exchange(answered_, true)) signals_->first_byte(now - chosen_ - client_silence());
    } else if (tick != last_tick_) {
      signals_->flowed();
    }
    last_tick_ = tick;
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
  ChangedSet* changed_;
  TimePoint chosen_, connected_;
  std::atomic<bool> owed_{true};
  std::atomic<Clock::rep> asked_{0};  ///< when the client first spoke; 0: not yet
  bool answered_ = false;             ///< this and the next: the thread of server_spoke()
  Clock::rep last_tick_ = 0;
};

}  // namespace farol::proxy
