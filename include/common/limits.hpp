#pragma once

#include <cstddef>

namespace farol {

/// What the kernel lets this process have.
struct ProcessLimits {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
};

/// Raises the soft descriptor limit to the hard one and reads what there is. Called once by main, before any thread.
ProcessLimits raise_and_read_limits();

/// Connections that fit: two sockets each, and as many threads as the engine uses for one; some are kept for the rest
/// of the process. At least 1.
std::size_t connections_within(const ProcessLimits& limits, std::size_t threads_per_connection);

}  // namespace farol
