#include "dashboard/history.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace farol::dashboard {
namespace {

constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

}  // namespace

/// Goes on by one step: everybody's next slot is empty.
void History::close_step() {
  slot_ = (slot_ + 1) % kPoints;
  for (auto& [id, row] : rows_) {
    std::fill(row.sums.begin(), row.sums.end(), 0.0F);
    std::fill(row.counts.begin(), row.counts.end(), std::uint8_t{0});
    for (std::size_t i = 0; i < series_; ++i) row.points[i * kPoints + slot_] = kNothing;
  }
}

void History::record(const std::vector<Reading>& readings, TimePoint now) {
  const std::int64_t step = now.time_since_epoch() / kStep;
  const std::int64_t steps = step_ < 0 ? 0 : std::min<std::int64_t>(step - step_, kPoints);
  for (std::int64_t i = 0; i < steps; ++i) close_step();
  step_ = step;
  ++records_;
  for (const Reading& reading : readings) {
    auto found = rows_.find(reading.id);
    if (found == rows_.end()) {
      if (rows_.size() >= kMost) continue;
      found = rows_.emplace(reading.id, Row{std::vector<float>(series_), std::vector<std::uint8_t>(series_),
                                            std::vector<float>(series_ * kPoints, kNothing), 0}).first;
    }
    Row& row = found->second;
    row.last_record = records_;
    for (std::size_t i = 0; i < series_ && i < reading.values.size(); ++i) {
      if (std::isnan(reading.values[i]) || row.counts[i] == 255) continue;
      row.sums[i] += reading.values[i];
      ++row.counts[i];
      row.points[i * kPoints + slot_] = row.sums[i] / static_cast<float>(row.counts[i]);
    }
  }
  std::erase_if(rows_, [this](const auto& each) { return each.second.last_record != records_; });
}

std::vector<float> History::points(const std::string& id, std::size_t series) const {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return {};
  const auto begin = found->second.points.begin() + static_cast<std::ptrdiff_t>(series * kPoints);
  std::vector<float> result(begin, begin + kPoints);
  std::rotate(result.begin(), result.begin() + static_cast<std::ptrdiff_t>((slot_ + 1) % kPoints), result.end());
  return result;
}

std::optional<std::string> history_json(const History& history, const std::string& id,
                                        std::span<const char* const> names,
                                        std::chrono::system_clock::time_point ends) {
  using nlohmann::json;
  json series = json::object();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::vector<float> points = history.points(id, i);
    if (points.empty()) return std::nullopt;
    json& list = series[names[i]] = json::array();
    for (const float point : points)
      list.push_back(std::isnan(point) ? json() : json(std::round(static_cast<double>(point) * 1000) / 1000));
  }
  return json{{"step_s", to_seconds(History::kStep)},
              {"ends_ms", unix_ms(ends)},
              {"series", std::move(series)}}
             .dump() + "\n";
}

}  // namespace farol::dashboard
