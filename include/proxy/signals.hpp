#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/clock.hpp"
#include "proxy/pool_meters.hpp"

namespace farol::proxy {

/// How often the parts of a score that change by themselves are brought up to date, and the grain of "just now".
inline constexpr auto kTick = std::chrono::milliseconds(100);
/// The same for a pool without connections.
inline constexpr auto kIdleTick = std::chrono::milliseconds(500);

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

/// What the relays tell of one back-end, without a lock: counters on one cache line that is theirs alone. Written by every thread
/// that serves a connection to it, read by choices and by the tick. Owned by the back-end's row.
class alignas(64) BackendSignals {
 public:
  /// Our connections at one moment: from the choice to the end, and those of them on which a reply is owed, because the
  /// client spoke last.
  struct Connections {
    std::uint32_t open = 0, owed = 0;
  };
  [[nodiscard]] Connections connections() const noexcept {
    const std::uint64_t both = connections_.load();
    return {static_cast<std::uint32_t>(both), static_cast<std::uint32_t>(both >> 32)};
  }
  [[nodiscard]] std::uint32_t open() const noexcept { return connections().open; }
  /// A connection begins, its reply owed.
  void opened() noexcept { connections_.fetch_add(kOpen + kOwed); }
  /// It ends. The last access to the row, which may go once it has no connection.
  void closed(bool owed) noexcept { connections_.fetch_sub(kOpen + (owed ? kOwed : 0)); }
  void owes() noexcept { connections_.fetch_add(kOwed); }
  void paid() noexcept { connections_.fetch_sub(kOwed); }

  /// Its connections are to be closed, each at a moment of its own within `over` from `now` on.
  void close_all(TimePoint now, Duration over) noexcept {
    const auto from = static_cast<std::uint64_t>(now.time_since_epoch() / kGrain) + 1;
    closing_.store(from << 32 | static_cast<std::uint32_t>(over / kGrain), std::memory_order_relaxed);
  }
  void close_none() noexcept { closing_.store(0, std::memory_order_relaxed); }
  /// The moment has come for the connection that drew `lot`.
  [[nodiscard]] bool closes(TimePoint now, std::uint32_t lot) const noexcept {
    const std::uint64_t closing = closing_.load(std::memory_order_relaxed);
    if (closing == 0) return false;
    const auto since = now.time_since_epoch() - kGrain * static_cast<std::int64_t>((closing >> 32) - 1);
    return since >= kGrain * static_cast<std::uint32_t>(closing) * (lot * 0x1p-32);
  }

  /// One of them has changed: the next choice in the pool looks at it again.
  void mark() noexcept { changed->mark(slot.load(std::memory_order_relaxed)); }

  std::atomic<std::uint32_t> slot{0};  ///< its place in the pool

 private:
  std::atomic<std::uint32_t> flowing_{0};

 public:
  ChangedSet* changed = nullptr;       ///< the pool's; set before the first choice
  PoolMeters* meters = nullptr;        ///< likewise

  /// A first byte came after `time`. Added to each is a millisecond: below that it is scheduling that differs, not load.
  void first_byte(Duration time) noexcept {
    const double us = 1000 + std::max(0.0, std::chrono::duration<double, std::micro>(time).count());
    first_bytes_.fetch_add(kOne + static_cast<std::uint64_t>(std::log(us) * kScale), std::memory_order_relaxed);
    if (meters != nullptr) meters->first_byte.observe(time);
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

  /// What one connection carried, at its end but before closed().
  void carried(std::uint64_t in, std::uint64_t out) noexcept {
    bytes_in_.fetch_add(in, std::memory_order_relaxed);
    bytes_out_.fetch_add(out, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t bytes_in() const noexcept { return bytes_in_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t bytes_out() const noexcept { return bytes_out_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::chrono::milliseconds kGrain{64};
  std::atomic<std::uint64_t> closing_{0};  ///< in grains: from when, plus one, above; over how long below; 0: nobody

  static constexpr std::uint64_t kOpen = 1, kOwed = std::uint64_t{1} << 32;
  std::atomic<std::uint64_t> connections_{0};

  static constexpr std::uint64_t kOne = std::uint64_t{1} << 48;  ///< count above, sum of logarithms below: one addition
  static constexpr double kScale = 1 << 20;
  std::atomic<std::uint64_t> first_bytes_{0};
  std::atomic<std::uint64_t> bytes_in_{0}, bytes_out_{0};
};
static_assert(sizeof(BackendSignals) == 64);

}  // namespace farol::proxy
