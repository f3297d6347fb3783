#include "proxyctl/top_controls.hpp"

#include <string.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "proxyctl/terminal_text.hpp"

namespace farol::proxyctl {
namespace {

constexpr std::string_view kSortLetters = "BPSO RLTCMANX";  // parts cannot be sorted by

using Mode = TopControls::Mode;
using Kind = Key::Kind;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool matches(const TopRow& row, const std::string& filter) {
  const bool exact = lower(filter) != filter;
  for (const std::string* text : {&row.backend, &row.pool, &row.state})
    if ((exact ? *text : lower(*text)).find(filter) != std::string::npos) return true;
  return false;
}

const std::string* text_of(const TopRow& row, Column column) {
  switch (column) {
    case Column::backend: return &row.backend;
    case Column::pool: return &row.pool;
    case Column::state: return &row.state;
    default: return nullptr;
  }
}

std::optional<double> number_of(const TopRow& row, Column column) {
  switch (column) {
    case Column::rtt: return row.rtt_ms;
    case Column::loss: return row.loss;
    case Column::tcp: return row.tcp;
    case Column::cpu: return row.cpu;
    case Column::memory: return row.memory;
    case Column::age: return row.age_ms;
    case Column::active: return row.active;
    case Column::rate: return row.rate;
    default: return row.score;
  }
}

/// "10.1.1.2:80" before "10.1.1.10:80".
int compare(const std::string& a, const std::string& b) { return ::strverscmp(a.c_str(), b.c_str()); }

bool comes_before(const TopRow& a, const TopRow& b, const TopControls& controls) {
  if (const std::string* text = text_of(a, controls.sort)) {
    const int order = compare(*text, *text_of(b, controls.sort));
    if (order != 0) return (order < 0) != controls.reverse;
  } else {
    const auto left = number_of(a, controls.sort), right = number_of(b, controls.sort);
    if (left.has_value() != right.has_value()) return left.has_value();
    if (left && *left != *right) return (*left > *right) != controls.reverse;
  }
  return compare(a.id, b.id) < 0;
}

void sort_by(std::size_t column, TopControls& controls) {
  controls.sort = static_cast<Column>(column);
  controls.reverse = false;
}

/// The next column that can be sorted by, to the left or right.
void turn(int by, TopControls& controls) {
  std::size_t column = static_cast<std::size_t>(controls.sort);
  do {
    column = (column + kColumns + static_cast<std::size_t>(by + static_cast<int>(kColumns))) % kColumns;
  } while (kSortLetters[column] == ' ');
  sort_by(column, controls);
}

void move(const Key& key, const std::vector<const TopRow*>& rows, std::size_t height, TopControls& controls) {
  if (rows.empty()) return;
  const std::size_t last = rows.size() - 1, page = std::max<std::size_t>(height, 1);
  std::size_t at = selected_index(rows, controls);
  switch (key.kind) {
    case Kind::up: at -= std::min<std::size_t>(at, 1); break;
    case Kind::down: at = std::min(at + 1, last); break;
    case Kind::page_up: at -= std::min(at, page); break;
    case Kind::page_down: at = std::min(at + page, last); break;
    case Kind::home: at = 0; break;
    case Kind::end: at = last; break;
    default: return;
  }
  controls.selected = rows[at]->id;
  controls.first = scrolled(controls.first, at, rows.size(), height);
}

void ask(const char* state, const std::vector<const TopRow*>& rows, TopControls& controls) {
  if (rows.empty()) {
    controls.message = "no back-end is selected";
    return;
  }
  const TopRow& row = *rows[selected_index(rows, controls)];
  controls.selected = row.id;
  controls.asked = TopOrder{row.id, row.backend + "/" + row.pool, state};
  controls.mode = Mode::confirm;
}

Pressed in_table(const Key& key, const std::vector<const TopRow*>& rows, std::size_t height, TopControls& controls) {
  move(key, rows, height, controls);
  if (key.kind != Kind::character || key.text.size() != 1) return {};
  switch (const char c = key.text[0]) {
    case 'q': return {true, {}};
    case '?': case 'h': controls.mode = Mode::help; break;
    case '/': controls.mode = Mode::filter; break;
    case 'r': controls.reverse = !controls.reverse; break;
    case '<': turn(-1, controls); break;
    case '>': turn(1, controls); break;
    case 'd': ask("drain", rows, controls); break;
    case 'y': ask("ready", rows, controls); break;
    case 'm': ask("maint", rows, controls); break;
    default:
      if (const auto column = kSortLetters.find(c); c != ' ' && column != std::string_view::npos) sort_by(column, controls);
  }
  return {};
}

void in_filter(const Key& key, TopControls& controls) {
  std::string& filter = controls.filter;
  switch (key.kind) {
    case Kind::character: filter += printable(key.text); break;
    case Kind::backspace:
      while (!filter.empty() && (static_cast<unsigned char>(filter.back()) & 0xc0) == 0x80) filter.pop_back();
      if (!filter.empty()) filter.pop_back();
      break;
    case Kind::escape: filter.clear(); [[fallthrough]];
    case Kind::enter: controls.mode = Mode::table; break;
    default: break;
  }
}

Pressed in_question(const Key& key, TopControls& controls) {
  const auto order = std::exchange(controls.asked, std::nullopt);
  controls.mode = Mode::table;
  if (key.kind == Kind::character && (key.text == "y" || key.text == "Y")) return {false, order};
  controls.message = "nothing was changed";
  return {};
}

}  // namespace

char sort_letter(Column column) { return kSortLetters[static_cast<std::size_t>(column)]; }

std::vector<const TopRow*> arranged(const TopView& view, const TopControls& controls) {
  std::vector<const TopRow*> rows;
  for (const TopRow& row : view.rows)
    if (matches(row, controls.filter)) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(),
            [&](const TopRow* a, const TopRow* b) { return comes_before(*a, *b, controls); });
  return rows;
}

std::size_t selected_index(const std::vector<const TopRow*>& rows, const TopControls& controls) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const TopRow* row) { return row->id == controls.selected; });
  return found == rows.end() ? 0 : static_cast<std::size_t>(found - rows.begin());
}

std::size_t scrolled(std::size_t first, std::size_t selected, std::size_t rows, std::size_t height) {
  if (height == 0 || rows <= height) return 0;
  if (selected < first) first = selected;
  if (selected >= first + height) first = selected - height + 1;
  return std::min(first, rows - height);
}

Pressed press(const Key& key, const TopView& view, std::size_t height, TopControls& controls) {
  controls.message.clear();
  switch (controls.mode) {
    case Mode::filter: in_filter(key, controls); return {};
    case Mode::confirm: return in_question(key, controls);
    case Mode::help: controls.mode = Mode::table; return {};
    case Mode::table: break;
  }
  if (key.kind == Kind::escape) controls.filter.clear();
  return in_table(key, arranged(view, controls), height, controls);
}

}  // namespace farol::proxyctl
