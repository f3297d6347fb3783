#include "dashboard/board.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/json_text.hpp"

namespace farol::dashboard {

using nlohmann::json;

double Board::turn(TimePoint now, WallTime wall) {
  last_ = std::exchange(now_, now);
  wall_ = wall;
  sheet_.turn();
  snapshot_.reset();
  changes_.reset();
  return ++sample_ > 1 ? to_seconds(now_ - last_) : 0;
}

void Board::post(std::vector<Sighting> seen, const std::vector<History::Reading>& readings) {
  std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  journal_.look(std::move(seen), wall_);
  history_.record(readings, now_);
}

json Board::lists(TimePoint) const {
  return json::object();
}

void Board::render() {
  if (sheet_.blank()) sheet_.fill(rows());
}

/// `rows`: members of the object, rendered already; the events are those above `event`.
Board::Text Board::text(const std::string& rows, std::uint64_t event, TimePoint since) const {
  json head = summary();
  head["wall_ms"] = unix_ms(wall_);
  head.update(lists(since));
  std::string line = json_text(head);
  line.pop_back();
  line += "," + rows + ",\"events\":" + events_json(journal_, event) + "}";
  return {sample_, std::make_shared<const std::string>(std::move(line))};
}

Board::Text Board::snapshot() {
  MutexLock lock(mutex_);
  if (!snapshot_) {
    render();
    snapshot_ = text("\"" + std::string(list_) + "\":" + sheet_.all(), 0, TimePoint::min());
  }
  return *snapshot_;
}

Board::Text Board::changes() {
  MutexLock lock(mutex_);
  if (!changes_) {
    render();
    changes_ =
        text("\"changed\":" + sheet_.changed() + ",\"gone\":" + sheet_.gone(), journal_.before_last_look(), last_);
  }
  return *changes_;
}

std::optional<std::string> Board::history(const std::string& id) {
  MutexLock lock(mutex_);
  return history_json(history_, id, series_, wall_);
}

}  // namespace farol::dashboard
