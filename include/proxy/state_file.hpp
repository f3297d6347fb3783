#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/backend_types.hpp"

namespace farol::proxy {

/// What the proxy keeps for its next life: where its agents were, and nothing else. A line for each, after one that names
/// the format: the agent's address, then ours that it registers with, or "-". Whoever is found there has to prove itself
/// like a stranger.

/// As many bytes as a table of agents can take.
inline constexpr std::size_t kMostStateBytes = 4 * 1024 * 1024;

std::string format_state(const std::vector<AgentPath>& agents);

struct ParsedState {
  std::vector<AgentPath> agents;
  std::size_t not_understood = 0;  ///< lines
};
/// Takes what it understands, whatever the rest may be.
ParsedState parse_state(std::string_view text);

}  // namespace farol::proxy
