#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.hpp"

namespace farol::dashboard {

/// Where a dashboard gets what it shows; each program has one. It remembers what it last looked at, so that everybody
/// sees the same moment. Any thread may call: an implementation guards itself.
class Feed {
 public:
  /// One line of JSON as of the sample of that number.
  struct Text {
    std::uint64_t sample = 0;
    std::shared_ptr<const std::string> json;
  };

  virtual ~Feed() = default;
  /// Looks once more: once a second, watched or not.
  virtual void sample(TimePoint now, std::chrono::system_clock::time_point wall) = 0;
  /// All there is. Rendered once for each sample, however many ask.
  virtual Text snapshot() = 0;
  /// What the last sample changed since the one before.
  virtual Text changes() = 0;
  /// The last 15 minutes of one back-end; empty when nobody knows it.
  virtual std::optional<std::string> history(const std::string& id) = 0;
};

}  // namespace farol::dashboard
