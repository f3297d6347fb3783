#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "proxyctl/top_view.hpp"

namespace farol::proxyctl {

/// What the keys of `proxyctl top` do, without a terminal. Pure.

enum class Column { backend, pool, state, score, parts, rtt, loss, tcp, cpu, memory, age, active, rate };
inline constexpr std::size_t kColumns = 13;

struct Key {
  enum class Kind { character, up, down, page_up, page_down, home, end, enter, escape, backspace, other };
  Kind kind = Kind::other;
  std::string text;  ///< of a character: itself, in UTF-8
};

/// A change that was asked for.
struct TopOrder {
  std::string id;       ///< TopRow::id
  std::string backend;  ///< printable
  std::string state;    ///< drain, ready or maint
};

struct TopControls {
  enum class Mode { table, filter, confirm, help };
  Mode mode = Mode::table;
  Column sort = Column::backend;
  bool reverse = false;
  std::string filter;
  std::string selected;            ///< TopRow::id: who is steered does not change with the order of rows
  std::size_t first = 0;           ///< of the rows that are shown
  std::optional<TopOrder> asked;   ///< in Mode::confirm
  std::string message;             ///< at the bottom, until the next key
};

/// The rows that match the filter (in address, pool or state; letters' case counts only if it has capitals), sorted.
/// Numbers begin with the greatest, text with the least, what is not known comes last; equals by address.
std::vector<const TopRow*> arranged(const TopView& view, const TopControls& controls);

/// Where the selected one is among them; the first if it is none of them.
std::size_t selected_index(const std::vector<const TopRow*>& rows, const TopControls& controls);
/// The first row to show, so that the selected one is among `height`, and no room is wasted.
std::size_t scrolled(std::size_t first, std::size_t selected, std::size_t rows, std::size_t height);

struct Pressed {
  bool quit = false;
  std::optional<TopOrder> order;  ///< confirmed
};
/// What a key does. `height`: how many rows there is room for.
Pressed press(const Key& key, const TopView& view, std::size_t height, TopControls& controls);

/// The letter that sorts by a column.
char sort_letter(Column column);

}  // namespace farol::proxyctl
