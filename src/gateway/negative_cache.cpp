#include "gateway/negative_cache.hpp"

namespace farol::gateway {

std::string NegativeCache::key(ServerId server, const std::string& path) { return std::to_string(server) + "/" + path; }

void NegativeCache::note(TimePoint now, ServerId server, const std::string& path) {
  while (!oldest_first_.empty() && (oldest_first_.front().until <= now || oldest_first_.size() >= kMost)) {
    const auto found = until_.find(oldest_first_.front().key);
    if (found != until_.end() && found->second == oldest_first_.front().until) until_.erase(found);
    oldest_first_.pop_front();
  }
  std::string entry = key(server, path);
  until_[entry] = now + kLifetime;
  oldest_first_.push_back({now + kLifetime, std::move(entry)});
}

bool NegativeCache::has(TimePoint now, ServerId server, const std::string& path) const {
  const auto found = until_.find(key(server, path));
  return found != until_.end() && found->second > now;
}

}  // namespace farol::gateway
