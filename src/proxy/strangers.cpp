#include "proxy/strangers.hpp"

#include <algorithm>

namespace farol::proxy {

void Strangers::dropped(monitoring::DropReason reason, const Address& peer, TimePoint now) {
  MutexLock lock(mutex_);
  drops_[static_cast<std::size_t>(reason)] = Drop{peer, now};
}

void Strangers::challenged(const Address& agent, std::uint16_t service_port, TimePoint now) {
  MutexLock lock(mutex_);
  const auto known =
      std::find_if(agents_.begin(), agents_.end(), [&](const Agent& each) { return each.address == agent; });
  Agent heard{agent, service_port, 1, now, now};
  if (known != agents_.end()) {
    heard.registers += known->registers;
    heard.first = known->first;
    agents_.erase(known);
  } else if (agents_.size() == kMostAgents) {
    agents_.erase(agents_.begin());
  }
  agents_.push_back(heard);
}

void Strangers::answered(const Address& agent) {
  MutexLock lock(mutex_);
  std::erase_if(agents_, [&](const Agent& each) { return each.address == agent; });
}

void Strangers::fill(MonitoringStatus& status, TimePoint now) const {
  MutexLock lock(mutex_);
  for (std::size_t i = 0; i < drops_.size(); ++i)
    if (const auto& drop = drops_[i])
      status.last_drops.push_back(
          {std::string(to_string(static_cast<monitoring::DropReason>(i))), drop->peer, now - drop->at});
  for (const Agent& each : agents_)
    if (now - each.last < kForgottenAfter)
      status.unanswered.push_back(
          {each.address, each.service_port, each.registers, now - each.first, now - each.last});
}

}  // namespace farol::proxy
