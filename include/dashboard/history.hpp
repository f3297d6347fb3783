#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/clock.hpp"

namespace farol::dashboard {

/// The last 15 minutes of every back-end, in steps of five seconds: the mean of what was read in each. It holds
/// kPoints floats per series and back-end (5.6 KiB with eight series) and follows kMost back-ends at most; one that is
/// no longer read is forgotten. Not thread-safe: its owner guards it. Pure but for its memory.
class History {
 public:
  static constexpr std::size_t kPoints = 180;
  static constexpr Duration kStep = std::chrono::seconds(5);
  static constexpr std::size_t kMost = 4096;

  struct Reading {
    std::string id;
    std::vector<float> values;  ///< one per series; NaN where there is nothing to say
  };

  explicit History(std::size_t series) : series_(series) {}

  /// What is seen of everybody at one moment. `now` never falls.
  void record(const std::vector<Reading>& readings, TimePoint now);
  /// One series, oldest first; its last point is the present step. NaN where nothing was read. Empty when `id` is
  /// unknown.
  [[nodiscard]] std::vector<float> points(const std::string& id, std::size_t series) const;
  [[nodiscard]] std::size_t followed() const { return rows_.size(); }

 private:
  struct Row {
    std::vector<float> sums;  ///< of the present step, per series
    std::vector<std::uint8_t> counts;
    std::vector<float> points;  ///< a ring per series
    std::uint64_t last_record = 0;
  };

  void close_step();

  const std::size_t series_;
  std::map<std::string, Row> rows_;
  std::int64_t step_ = -1;  ///< of the steady clock
  std::size_t slot_ = 0;    ///< of the present step, in every ring
  std::uint64_t records_ = 0;
};

/// A figure for a Reading: NaN for none.
template <typename Value>
float reading(const std::optional<Value>& value) {
  return value ? static_cast<float>(*value) : std::numeric_limits<float>::quiet_NaN();
}

/// {"step_s": 5, "ends_ms": …, "series": {"score": […], …}}, the names in the order of the series; null where nothing
/// was read. Empty when `id` is unknown. Pure.
std::optional<std::string> history_json(const History& history, const std::string& id,
                                        std::span<const char* const> names, std::chrono::system_clock::time_point ends);

}  // namespace farol::dashboard
