#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace farol::proxyctl {

/// Text of others for the terminal: agents choose the names of their pools, and those must neither steer the terminal
/// nor shift a table's columns. Text is UTF-8 whatever the locale. Pure.

/// Valid UTF-8 of which every character has a width: control characters (C0, DEL, C1), bytes that are no UTF-8, and what
/// is invisible or turns the writing around are "?".
std::string printable(std::string_view text);

/// How many columns printable text takes; a Chinese character takes two, an accent that follows its letter none.
std::size_t columns(std::string_view text);

/// As much of printable text as fits into so many columns; if that is not all, it ends in "~".
std::string cut(std::string_view text, std::size_t width);

enum class Align { left, right };
/// The same, padded to exactly so many columns.
std::string fitted(std::string_view text, std::size_t width, Align align = Align::left);

/// Printable text for a terminal that knows ASCII only: each other character is "?", and as wide as it was.
std::string ascii(std::string_view text);

}  // namespace farol::proxyctl
