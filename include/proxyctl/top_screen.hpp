#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "proxyctl/top_controls.hpp"
#include "proxyctl/top_view.hpp"

namespace farol::proxyctl {

/// How `proxyctl top` looks, as lines of text with styles; what puts them on a terminal is Terminal. Pure.

enum class Style {
  plain, bold, dim, good, warning, bad, reverse,
  rtt, tcp, loss, cpu, memory, doubt,  ///< the parts of a score, in the order of kParts
};

struct Span {
  std::string text;
  Style style = Style::plain;
};
using Line = std::vector<Span>;

struct Size {
  std::size_t rows = 24, columns = 80;
};

/// A score as a bar of letters: as many in all as `width` times its share of `most`, and of each part as many as its
/// share of the score; rounded so that the sum is right, and what is more than nothing has a letter.
std::string bar(const TopRow& row, double most, std::size_t width);

/// How many rows of back-ends there is room for. `stale`: a line says so.
std::size_t table_height(Size size, bool stale);

/// The whole screen, no more lines than it has and none wider. `trouble`: why what is shown is old; empty: it is not.
std::vector<Line> top_screen(const TopView& view, const TopControls& controls, const std::string& trouble, Size size);

}  // namespace farol::proxyctl
