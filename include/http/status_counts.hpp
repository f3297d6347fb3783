#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

namespace farol::http {

/// How often each status was answered, requests that could not be understood included. Lock-free, never falls.
/// Owned by who serves; outlives the connections. Any thread.
class StatusCounts {
 public:
  void add(int status) noexcept;
  /// Every code that a server of ours may answer, rising, counted or not; others as code 0, last.
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> counts() const;

 private:
  static constexpr std::array kCodes{200, 206, 304, 400, 404, 405, 408, 412, 413,
                                     414, 416, 431, 500, 501, 502, 503, 504, 505};

  std::array<std::atomic<std::uint64_t>, kCodes.size() + 1> counts_{};
};

}  // namespace farol::http
