#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/mutex.hpp"
#include "dashboard/feed.hpp"
#include "dashboard/history.hpp"
#include "dashboard/journal.hpp"
#include "dashboard/sheet.hpp"

namespace farol::dashboard {

/// What every dashboard shows, whatever stands in its rows: the rows, what happened to whom, and 15 minutes of figures.
/// A program derives from it: its sample() takes the lock, turns the board over and posts what it saw. What is to be
/// shown is asked for under the lock, only when somebody watches: the rows once a sample at most, the rest once a text.
/// Owned by who owns the program's server; any thread.
class Board : public Feed {
 public:
  Text snapshot() final;
  Text changes() final;
  std::optional<std::string> history(const std::string& id) final;

 protected:
  using WallTime = std::chrono::system_clock::time_point;

  /// `list` is what the rows are called in a snapshot ("backends"), `series` the names of the figures of one reading.
  /// Both are of literals.
  Board(std::string_view list, std::span<const char* const> series)
      : list_(list), series_(series), history_(series.size()) {}

  /// Begins a sample. The result is the seconds since the last one, 0 at the first: no rate can be told.
  double turn(TimePoint now, WallTime wall) REQUIRES(mutex_);
  /// What was seen of everybody, in any order.
  void post(std::vector<Sighting> seen, const std::vector<History::Reading>& readings) REQUIRES(mutex_);

  [[nodiscard]] virtual Sheet::Rows rows() const REQUIRES(mutex_) = 0;
  /// What is said of all rows together; an object. The board adds `wall_ms`.
  [[nodiscard]] virtual nlohmann::json summary() const REQUIRES(mutex_) = 0;
  /// Further lists: {"decisions": […]}. `since`: only what came after that moment.
  [[nodiscard]] virtual nlohmann::json lists(TimePoint since) const REQUIRES(mutex_);

  [[nodiscard]] TimePoint now() const REQUIRES(mutex_) { return now_; }
  [[nodiscard]] WallTime wall() const REQUIRES(mutex_) { return wall_; }

  Mutex mutex_;

 private:
  void render() REQUIRES(mutex_);
  [[nodiscard]] Text text(const std::string& rows, std::uint64_t event, TimePoint since) const REQUIRES(mutex_);

  const std::string_view list_;
  const std::span<const char* const> series_;
  std::uint64_t sample_ GUARDED_BY(mutex_) = 0;
  TimePoint now_ GUARDED_BY(mutex_){}, last_ GUARDED_BY(mutex_){};  ///< of this sample and the one before
  WallTime wall_ GUARDED_BY(mutex_);
  Journal journal_ GUARDED_BY(mutex_);
  History history_ GUARDED_BY(mutex_);
  Sheet sheet_ GUARDED_BY(mutex_);
  std::optional<Text> snapshot_ GUARDED_BY(mutex_), changes_ GUARDED_BY(mutex_);  ///< once rendered
};

}  // namespace farol::dashboard
