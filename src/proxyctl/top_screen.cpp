#include "proxyctl/top_screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "proxyctl/terminal_text.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using Mode = TopControls::Mode;

constexpr std::size_t kMark = 2;  // "> " before the selected one
constexpr std::size_t kLongestName = 45, kLongestPool = 16, kLongestBar = 40;

struct Shape {
  const char* title;
  std::size_t width;
  int rank;  ///< the lower the longer it stays when there is little room
  Align align;
};
// In the order of Column.
constexpr Shape kShapes[kColumns] = {
    {"BACKEND", 8, 0, Align::left},  {"POOL", 5, 11, Align::left},     {"STATE", 7, 1, Align::left},
    {"SCORE", 7, 2, Align::right},   {"PARTS", 10, 5, Align::left},    {"RTT(ms)", 8, 8, Align::right},
    {"LOSS", 5, 9, Align::right},    {"TCP", 6, 10, Align::right},     {"CPU", 5, 6, Align::right},
    {"MEM", 5, 7, Align::right},     {"AGE", 6, 12, Align::right},     {"ACTIVE", 6, 3, Align::right},
    {"CONN/s", 7, 4, Align::right},
};

/// The width of each column; 0: there is no room for it.
using Widths = std::array<std::size_t, kColumns>;

std::size_t longest(const TopView& view, std::string TopRow::*text, std::size_t least, std::size_t most) {
  std::size_t widest = least;
  for (const TopRow& row : view.rows) widest = std::max(widest, columns(row.*text));
  return std::min(widest, most);
}

Widths layout(const TopView& view, std::size_t width) {
  Widths wanted{}, given{};
  for (std::size_t i = 0; i < kColumns; ++i) wanted[i] = kShapes[i].width;
  wanted[static_cast<std::size_t>(Column::backend)] = longest(view, &TopRow::backend, kShapes[0].width, kLongestName);
  wanted[static_cast<std::size_t>(Column::pool)] = longest(view, &TopRow::pool, kShapes[1].width, kLongestPool);
  std::array<std::size_t, kColumns> order{};
  for (std::size_t i = 0; i < kColumns; ++i) order[static_cast<std::size_t>(kShapes[i].rank)] = i;
  std::size_t left = width > kMark ? width - kMark : 0;
  for (const std::size_t column : order) {
    const std::size_t gap = column == 0 ? 0 : 1;
    if (column == 0 && wanted[0] + 24 > left) wanted[0] = std::min(wanted[0], std::max(left / 2, kShapes[0].width));
    if (wanted[column] + gap > left) continue;
    given[column] = wanted[column];
    left -= wanted[column] + gap;
  }
  std::size_t& parts = given[static_cast<std::size_t>(Column::parts)];
  if (parts > 0) parts = std::min(parts + left, kLongestBar);
  return given;
}

Style style_of(const std::string& state) {
  if (state == "up") return Style::good;
  if (state == "down" || state == "ejected") return Style::bad;
  return state == "new" ? Style::dim : Style::warning;
}

std::string decimals(const std::optional<double>& value, int places) {
  return value ? fmt::format("{:.{}f}", *value, places) : "-";
}

std::string share(const std::optional<double>& value) { return value ? fmt::format("{:.0f}%", *value * 100) : "-"; }

std::string cell(const TopRow& row, Column column) {
  switch (column) {
    case Column::backend: return row.backend;
    case Column::pool: return row.pool;
    case Column::state: return row.state;
    case Column::score: return decimals(row.score, 3);
    case Column::rtt: return decimals(row.rtt_ms, 1);
    case Column::loss: return share(row.loss);
    case Column::tcp: return decimals(row.tcp, 0);
    case Column::cpu: return share(row.cpu);
    case Column::memory: return share(row.memory);
    case Column::age: return span(row.age_ms ? nlohmann::json(*row.age_ms) : nlohmann::json(), 1e-3);
    case Column::active: return decimals(row.active, 0);
    case Column::rate: return decimals(row.rate, 1);
    case Column::parts: break;
  }
  return {};
}

/// Letters of one part are one span.
void add_bar(const std::string& letters, std::size_t width, bool selected, Line& line) {
  for (std::size_t i = 0; i < letters.size();) {
    const std::size_t end = std::min(letters.find_first_not_of(letters[i], i), letters.size());
    const auto part = static_cast<int>(kPartLetters.find(letters[i]));
    line.push_back({letters.substr(i, end - i),
                    selected ? Style::reverse : static_cast<Style>(static_cast<int>(Style::rtt) + part)});
    i = end;
  }
  line.push_back({std::string(width - letters.size(), ' '), selected ? Style::reverse : Style::plain});
}

Line table_row(const TopRow& row, const Widths& widths, double most, bool selected) {
  const Style base = selected ? Style::reverse : Style::plain;
  Line line = {{selected ? "> " : "  ", base}};
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (widths[i] == 0) continue;
    if (i > 0) line.push_back({" ", base});
    const auto column = static_cast<Column>(i);
    if (column == Column::parts) {
      add_bar(bar(row, most, widths[i]), widths[i], selected, line);
      continue;
    }
    const Style style = column == Column::state && !selected ? style_of(row.state) : base;
    line.push_back({fitted(cell(row, column), widths[i], kShapes[i].align), style});
  }
  return line;
}

/// The column that is sorted by has a mark that points to where the greater ones are.
Line header(const Widths& widths, const TopControls& controls) {
  const bool text = controls.sort <= Column::state;
  const char* const mark = text == controls.reverse ? "v" : "^";
  Line line = {{"  ", Style::bold}};
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (widths[i] == 0) continue;
    const bool sorted = static_cast<Column>(i) == controls.sort;
    const std::string title = cut(kShapes[i].title, widths[i] - (sorted ? 1 : 0)) + (sorted ? mark : "");
    line.push_back({(i > 0 ? " " : "") + fitted(title, widths[i], kShapes[i].align), sorted ? Style::reverse : Style::bold});
  }
  return line;
}

Line bottom(const TopControls& controls, std::size_t shown, std::size_t all) {
  switch (controls.mode) {
    case Mode::filter: return {{"filter: " + controls.filter + "_", Style::bold}, {"  (Enter: done, Esc: none)", Style::dim}};
    case Mode::confirm:
      return {{controls.asked ? controls.asked->state + " " + controls.asked->backend + "? (y/n)" : "", Style::warning}};
    case Mode::help: return {{"any key: back to the table", Style::bold}};
    case Mode::table: break;
  }
  if (!controls.message.empty()) return {{controls.message, Style::bold}};
  const std::string filter = controls.filter.empty() ? "" : " with '" + controls.filter + "'";
  return {{fmt::format("{} of {}{}", shown, all, filter), Style::bold},
          {"  q quit  ? help  / filter  < > sort  r reverse  d drain  y ready  m maint", Style::dim}};
}

std::vector<Line> help() {
  std::vector<Line> lines;
  for (const char* text :
       {"q quit    ? this help    / filter by address, pool or state (Esc: none)",
        "arrows, PgUp, PgDn, Home, End: select and scroll",
        "d drain (no new connections)   m maint (out of service)   y ready (undoes both);", "  each asks back",
        "< > the column to sort by; or its letter:", "  B back-end  P pool  S state  O score  R RTT  L loss  T TCP",
        "  C CPU  M memory  A age of the report  N connections  X connections/s", "r reverses the order",
        "PARTS: the score's components, as long as the score beside the worst:",
        "  r RTT  t TCP connections  l loss  c CPU  m memory  d doubt",
        "ACTIVE and CONN/s are the proxy's own; TCP, CPU and MEM are the machine's.",
        "bytes/s count when connections end."})
    lines.push_back({{text, Style::plain}});
  return lines;
}

Line cut_line(const Line& line, std::size_t width) {
  Line result;
  for (const Span& span : line) {
    if (width == 0) break;
    result.push_back({cut(span.text, width), span.style});
    width -= columns(result.back().text);
  }
  return result;
}

/// What stands above the table: as much as leaves room for some rows.
std::size_t head_height(Size size, bool stale) {
  const std::size_t wanted = stale ? 4 : 3, table = 5;  // its titles, some rows, the bottom line
  return std::min(wanted, size.rows > table ? size.rows - table : 0);
}

std::vector<Line> head(const TopView& view, const std::string& trouble, std::size_t height) {
  std::vector<Line> lines;
  for (const std::string& text : view.headlines) lines.push_back({{text, lines.empty() ? Style::bold : Style::plain}});
  if (!trouble.empty()) lines.insert(lines.begin() + (height > 1 && !lines.empty() ? 1 : 0), Line{{trouble, Style::bad}});
  lines.resize(std::min(lines.size(), height));
  return lines;
}

void add_table(const TopView& view, const TopControls& controls, std::size_t height, std::size_t width,
               std::vector<Line>& lines) {
  const auto rows = arranged(view, controls);
  const Widths widths = layout(view, width);
  lines.push_back(header(widths, controls));
  if (rows.empty() && height > 0)
    lines.push_back({{view.rows.empty() ? "  no back-ends (proxyctl check says why)" : "  none matches the filter", Style::dim}});
  double most = 0;
  for (const TopRow& row : view.rows) most = std::max(most, row.score.value_or(0));
  const std::size_t selected = selected_index(rows, controls);
  const std::size_t first = scrolled(controls.first, selected, rows.size(), height);
  for (std::size_t i = first; i < std::min(rows.size(), first + height); ++i)
    lines.push_back(table_row(*rows[i], widths, most, i == selected));
}

}  // namespace

std::string bar(const TopRow& row, double most, std::size_t width) {
  double sum = 0;
  for (const double part : row.parts) sum += std::max(part, 0.0);
  const double score = row.score.value_or(0);
  if (!(sum > 0 && std::isfinite(sum) && score > 0 && most > 0)) return {};
  const double length = std::max(1.0, std::round(std::min(score / most, 1.0) * static_cast<double>(width)));
  std::string letters;
  double reached = 0;  // each part ends where the sum so far does: no rounding adds up
  for (std::size_t i = 0; i < row.parts.size(); ++i) {
    reached += std::max(row.parts[i], 0.0);
    const auto end = static_cast<std::size_t>(std::round(reached / sum * length));
    letters.resize(std::max(end, letters.size()), kPartLetters[i]);
  }
  letters.resize(std::min(letters.size(), width));
  return letters;
}

std::size_t table_height(Size size, bool stale) {
  const std::size_t others = head_height(size, stale) + 2;
  return size.rows > others ? size.rows - others : 0;
}

std::vector<Line> top_screen(const TopView& view, const TopControls& controls, const std::string& trouble, Size size) {
  std::vector<Line> lines = head(view, trouble, head_height(size, !trouble.empty()));
  if (controls.mode == Mode::help) {
    for (Line& line : help()) lines.push_back(std::move(line));
  } else {
    add_table(view, controls, table_height(size, !trouble.empty()), size.columns, lines);
  }
  lines.resize(size.rows > 0 ? size.rows - 1 : 0);
  if (size.rows > 0) lines.push_back(bottom(controls, arranged(view, controls).size(), view.rows.size()));
  for (Line& line : lines) line = cut_line(line, size.columns);
  return lines;
}

}  // namespace farol::proxyctl
