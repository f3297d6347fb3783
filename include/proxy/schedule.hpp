#pragma once

#include <set>
#include <utility>

#include "proxy/backend.hpp"

namespace farol::proxy {

/// Rows in the order in which something is due to them. Each keeps its moment itself, in the member that the schedule is
/// made for; TimePoint::max() is one that is not here, and so every row begins. Borrows the rows: one that goes is to be
/// put at TimePoint::max() before. The table's lock guards it.
class Schedule {
 public:
  explicit Schedule(TimePoint Backend::*moment) : moment_(moment) {}

  /// Puts the row at `due`, wherever it was. True when it is the first now.
  bool put(Backend& row, TimePoint due) {
    auto entry = rows_.extract({row.*moment_, &row});
    row.*moment_ = TimePoint::max();
    if (due == TimePoint::max()) return false;
    if (entry) entry.value().first = due;  // the same piece of memory: this happens to each row all the time
    const auto place = entry ? rows_.insert(std::move(entry)).position : rows_.emplace(due, &row).first;
    row.*moment_ = due;
    return place == rows_.begin();
  }

  /// The same, but never later than it is.
  void bring_forward(Backend& row, TimePoint due) {
    if (due < row.*moment_) put(row, due);
  }

  /// When the first is due; TimePoint::max() when there is none.
  [[nodiscard]] TimePoint next() const { return rows_.empty() ? TimePoint::max() : rows_.begin()->first; }

  /// The first row, if it is due, or nullptr. It stays.
  [[nodiscard]] Backend* due(TimePoint now) const { return next() <= now ? rows_.begin()->second : nullptr; }

 private:
  TimePoint Backend::*moment_;
  std::set<std::pair<TimePoint, Backend*>> rows_;
};

}  // namespace farol::proxy
