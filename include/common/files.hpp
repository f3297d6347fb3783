#pragma once

#include <sys/uio.h>

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "common/fd.hpp"

namespace farol {

/// Files below a directory that strangers may name. Any thread.

/// What tells one version of a file from another on one machine. Two writes within one tick of the file system's clock
/// (1 to 10 ms) that leave the size alone look the same.
struct FileState {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint64_t links = 0;
  auto operator<=>(const FileState&) const = default;
};

/// Opens a directory for open_beneath(). Throws StartError: "--root /x: No such file or directory", also where the
/// kernel has no openat2(2) (before 5.6).
Fd open_root(const std::string& path);

enum class OpenFailure {
  not_found,
  forbidden,     ///< no permission, or out of the root: by "..", an absolute path or a link
  not_regular,   ///< a directory, device, FIFO, socket
  no_resources,  ///< descriptors or memory have run out
  io_error,
};

struct RegularFile {
  Fd fd;
  FileState state;
};
/// Opens a regular file for reading. The path is resolved by the kernel beneath `root` (openat2(2): RESOLVE_BENEATH,
/// RESOLVE_NO_MAGICLINKS); links to directories below the root are followed, a link in the last place is not. Never
/// waits for the other end of a FIFO.
std::variant<RegularFile, OpenFailure> open_beneath(const Fd& root, const std::string& path);

/// The state now; false when the file system does not say.
bool read_state(const Fd& file, FileState& state);

/// Fills all buffers from `offset` on, or returns false (an error, or the file ends before).
bool read_fully(const Fd& file, std::uint64_t offset, std::span<iovec> buffers);

}  // namespace farol
