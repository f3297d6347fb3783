#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace farol {

/// What this process takes of its machine, at one moment.
struct ProcessFigures {
  std::size_t open_descriptors = 0;
  std::size_t most_descriptors = 0;  ///< RLIMIT_NOFILE
  std::size_t threads = 0;
  std::uint64_t resident_bytes = 0, virtual_bytes = 0;
  double cpu_seconds = 0;  ///< user and system
};

/// Reads them from /proc/self; what cannot be read stays 0. Takes time in proportion to the descriptors (10 000: some
/// milliseconds). Any thread.
ProcessFigures read_process_figures();

/// The figures that /proc/PID/stat has (proc(5)), into `figures`; unreadable text changes nothing. Pure, for tests.
void read_process_stat(std::string_view text, long ticks_per_second, long page_bytes, ProcessFigures& figures);

}  // namespace farol
