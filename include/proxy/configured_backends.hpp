#pragma once

#include <cstddef>
#include <vector>

#include "proxy/backend_table.hpp"
#include "proxy/config.hpp"

namespace farol::proxy {

/// What configure_backends() found to do.
struct BackendChanges {
  std::size_t added = 0, removed = 0, changed = 0;
  std::size_t left_out = 0;  ///< for the table is full
};

/// Makes the static back-ends of the table those of the configuration. Who is new is checked at once, who is not in it any
/// more gets no new connections and goes with its last one; what is known of the others stays. A back-end that an agent
/// has registered meanwhile is the operator's from now on, and its agent's row goes the same way. Any thread.
BackendChanges configure_backends(BackendTable& table, const std::vector<Config::StaticBackend>& wanted,
                                  std::uint32_t max_connections, TimePoint now);

}  // namespace farol::proxy
