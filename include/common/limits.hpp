#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace farol {

/// What the kernel lets this process have.
struct ProcessLimits {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::string threads_by;  ///< which of the limits on threads is the lowest
};

/// Raises the soft descriptor limit to the hard one and reads what there is for `user`, who this process runs as, or will
/// before it starts a thread: the limit on a user's processes does not bind root. Called once by main.
ProcessLimits raise_and_read_limits(uid_t user);

/// The files that may limit the tasks of a process, from its /proc/PID/cgroup: those of its own control group and of
/// all above it, in either version of control groups.
std::vector<std::string> task_limit_files(std::string_view cgroups);

/// How much of a server fits into the limits.
struct Capacity {
  std::size_t connections = 0;
  std::size_t pipes = 0;
  std::string bound_by;  ///< the limit that keeps it from being more, with its value
};

/// Pipes first, two descriptors each: those that are wanted, but no more than an eighth of the descriptors. Then
/// connections: two sockets each (a client that waits has a bell instead of the second), and as many threads as the
/// engine uses for one. Some are kept for the rest of the process. One connection always fits.
Capacity capacity_within(const ProcessLimits& limits, std::size_t threads_per_connection, std::size_t pipes_wanted);

}  // namespace farol
