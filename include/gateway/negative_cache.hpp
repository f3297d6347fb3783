#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"
#include "gateway/pool.hpp"

namespace farol::gateway {

/// Which server said lately that it lacks which file: for two seconds it is not asked again. That is all a missing file
/// ever does to a server. Bounded; the oldest entry goes first. Not thread-safe.
class NegativeCache {
 public:
  static constexpr Duration kLifetime = std::chrono::seconds(2);
  static constexpr std::size_t kMost = 4096;

  void note(TimePoint now, ServerId server, const std::string& path);
  [[nodiscard]] bool has(TimePoint now, ServerId server, const std::string& path) const;

 private:
  struct Entry {
    TimePoint until;
    std::string key;
  };
  static std::string key(ServerId server, const std::string& path);

  std::unordered_map<std::string, TimePoint> until_;
  std::deque<Entry> oldest_first_;
};

}  // namespace farol::gateway
