#include "dashboard/sheet.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/json_text.hpp"

namespace farol::dashboard {

void Sheet::turn() {
  before_ = std::exchange(now_, {});
  blank_ = true;
}

void Sheet::fill(Rows rows) {
  now_ = std::move(rows);
  blank_ = false;
}

std::string Sheet::all() const {
  std::string list = "[";
  for (const auto& [id, row] : now_) list.append(list.size() > 1 ? "," : "").append(row);
  return list + "]";
}

std::string Sheet::changed() const {
  std::string list = "[";
  for (const auto& [id, row] : now_) {
    const auto old = before_.find(id);
    if (old != before_.end() && old->second == row) continue;
    list.append(list.size() > 1 ? "," : "").append(row);
  }
  return list + "]";
}

std::string Sheet::gone() const {
  nlohmann::json ids = nlohmann::json::array();
  for (const auto& [id, row] : before_)
    if (!now_.contains(id)) ids.push_back(id);
  return json_text(ids);
}

}  // namespace farol::dashboard
