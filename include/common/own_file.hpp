#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace farol {

/// A small file in which a program keeps something for its next life. Any thread, one at a time for a path; other
/// processes may do the same meanwhile.

/// All of it; nothing when there is none yet. Throws StartError ("/x: Permission denied") when it cannot be read, is no
/// regular file or has more than `most` bytes.
std::optional<std::string> read_own_file(const std::string& path, std::size_t most);

/// Puts `content` in its place at one stroke (a new file beside it, PATH.new.PID, then renamed), for its owner's eyes
/// only. It is there after a crash of the program, not necessarily after one of the machine. Throws std::system_error.
void replace_own_file(const std::string& path, std::string_view content);

/// Removes new files that processes began beside it and were killed over.
void remove_unfinished(const std::string& path);

}  // namespace farol
