#include "gateway/pool.hpp"

#include <algorithm>

namespace farol::gateway {

const char* to_string(ServerState state) {
  switch (state) {
    case ServerState::up:
      return "up";
    case ServerState::suspect:
      return "suspect";
    case ServerState::down:
      return "down";
  }
  return "?";
}

Server& Pool::add(TimePoint now, ServerId id, std::string name, const Address& address) {
  return servers_.insert_or_assign(id, Server(id, std::move(name), address, now, options_.max_in_flight)).first->second;
}

Server* Pool::find(ServerId id) {
  const auto found = servers_.find(id);
  return found == servers_.end() ? nullptr : &found->second;
}

bool Pool::heard(TimePoint now, Server& server) {
  server.heard = std::max(server.heard, now);
  if (server.state == ServerState::up) return false;
  server.state = ServerState::up;
  server.timeouts = 0;
  server.left_out_until = {};
  return true;
}

std::vector<Pool::Change> Pool::advance(TimePoint now) {
  std::vector<Change> changes;
  for (auto at = servers_.begin(); at != servers_.end();) {
    Server& server = at->second;
    const Duration silent = now - server.heard;
    if (silent >= options_.forget_after) {
      changes.push_back({server.id, ServerState::down, true});
      at = servers_.erase(at);
      continue;
    }
    const ServerState state = silent >= options_.down_after      ? ServerState::down
                              : silent >= options_.suspect_after ? ServerState::suspect
                                                                 : ServerState::up;
    if (state > server.state) {
      server.state = state;
      changes.push_back({server.id, state});
    }
    ++at;
  }
  return changes;
}

Duration Pool::patience(ServerState state) const {
  switch (state) {
    case ServerState::up:
      return options_.suspect_after;
    case ServerState::suspect:
      return options_.down_after;
    case ServerState::down:
      break;
  }
  return options_.forget_after;
}

TimePoint Pool::next_deadline() const {
  TimePoint next = kNever;
  for (const auto& [id, server] : servers_) next = std::min(next, server.heard + patience(server.state));
  return next;
}

bool Pool::any_up() const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [](const auto& entry) { return entry.second.state == ServerState::up; });
}

}  // namespace farol::gateway
