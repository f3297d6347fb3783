#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace farol {

/// A small file in which a program keeps something for its next life. Any thread, one at a time for each path.

/// All of it; nothing when there is none yet. Throws StartError ("/x: Permission denied") when it cannot be read, is no
/// regular file or has more than `most` bytes.
std::optional<std::string> read_own_file(const std::string& path, std::size_t most);

/// Puts `content` in its place at one stroke (a new file beside it, then renamed), for its owner's eyes only. It is there
/// after a crash of the program, not necessarily after one of the machine. Throws std::system_error.
void replace_own_file(const std::string& path, std::string_view content);

}  // namespace farol
