#include "proxy/state_file.hpp"

#include <optional>

namespace farol::proxy {
namespace {

constexpr std::string_view kHead = "farol agents 1";

std::optional<AgentPath> parse_agent(std::string_view line) {
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view local = line.substr(space + 1);
  const auto peer = Address::parse(line.substr(0, space));
  const auto ours = local == "-" ? Address() : Address::parse(local);
  if (!peer || peer->port() == 0 || peer->is_wildcard() || !ours) return std::nullopt;
  return AgentPath{*peer, *ours, ours->scope()};  // only a link-local address needs its interface, and it says it
}

}  // namespace

std::string format_state(const std::vector<AgentPath>& agents) {
  std::string text(kHead);
  text += '\n';
  for (const AgentPath& agent : agents)
    text += agent.peer.text() + " " + (agent.local.family() == AF_UNSPEC ? "-" : agent.local.text()) + "\n";
  return text;
}

ParsedState parse_state(std::string_view text) {
  ParsedState result;
  bool head = true;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto agent = head ? std::nullopt : parse_agent(line);
    if (agent)
      result.agents.push_back(*agent);
    else if (!head || line != kHead)
      ++result.not_understood;
    head = false;
  }
  return result;
}

}  // namespace farol::proxy
