#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "monitoring/packet.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// Why a client was closed without having been served.
enum class Rejection : std::uint8_t {
  limit,
  source_limit,
  no_backend,
  queue_full,
  queue_timeout,
  connect_failed,
  no_thread,
  no_resources,
};
inline constexpr std::size_t kRejections = 8;

/// How a session ended, in HAProxy's two letters: who ended it or why it could not be served, and in which state it was.
inline constexpr std::array<std::string_view, 16> kCauses = {"--", "CD", "SD", "cD", "sD", "PD", "DD", "KD",
                                                             "CC", "SC", "sC", "RC", "KC", "CQ", "PQ", "sQ"};

/// Counts what happens; never falls, never blocks. Owned by main, any thread.
class Counters {
 public:
  void drop(monitoring::DropReason reason) { add(dropped_[static_cast<std::size_t>(reason)]); }
  void reject(Rejection reason, TimePoint now) {
    add(rejected_[static_cast<std::size_t>(reason)]);
    rejected_at_[static_cast<std::size_t>(reason)].store(now, std::memory_order_relaxed);
  }
  void connection() { add(connections_); }
  /// REQUIRES: one of kCauses.
  void ended(std::string_view cause);
  void bytes(std::uint64_t in, std::uint64_t out) {
    bytes_in_.fetch_add(in, std::memory_order_relaxed);
    bytes_out_.fetch_add(out, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t dropped(monitoring::DropReason reason) const {
    return dropped_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  /// What the engine turned away by itself; TimePoint{} for never.
  struct Refused {
    std::uint64_t count = 0;
    TimePoint last{};
  };
  /// Fills in the counters of a status.
  void fill(ProxyStatus& status, const Refused& by_limit, TimePoint now) const;

 private:
  using Cell = std::atomic<std::uint64_t>;
  static void add(Cell& cell) { cell.fetch_add(1, std::memory_order_relaxed); }

  std::array<Cell, monitoring::kDropReasons> dropped_{};
  std::array<Cell, kRejections> rejected_{};
  std::array<std::atomic<TimePoint>, kRejections> rejected_at_{};
  std::array<Cell, kCauses.size()> ended_{};
  Cell connections_{0}, bytes_in_{0}, bytes_out_{0};
};

}  // namespace farol::proxy
