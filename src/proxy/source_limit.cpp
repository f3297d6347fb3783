#include "proxy/source_limit.hpp"

#include <netinet/in.h>

namespace farol::proxy {

SourceLimit::Share SourceLimit::enter(const Address& client) {
  const Address source = client.network(client.family() == AF_INET6 ? 64 : 32);
  SpinLock lock(mutex_);
  const auto here = here_.try_emplace(source, 0).first;
  if (most_ == 0 || here->second < most_) {
    ++here->second;
    return {this, source};
  }
  if (here->second == 0) here_.erase(here);
  return {nullptr, source};
}

void SourceLimit::leave(const Address& source) {
  SpinLock lock(mutex_);
  const auto found = here_.find(source);
  if (--found->second == 0) here_.erase(found);
}

std::size_t SourceLimit::sources() {
  SpinLock lock(mutex_);
  return here_.size();
}

}  // namespace farol::proxy
