#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"

namespace farol::proxyctl {

/// Talks to a proxy's admin endpoint, by libcurl: no redirects, no proxies from the environment, 5 s for each request.
/// One thread at a time; one per program, for libcurl is initialised by it.
class AdminClient {
 public:
  /// `url` is the endpoint's root: "http://127.0.0.1:8404", the scheme may be left out. Throws UsageError.
  /// `token` is what changes must show; empty: nothing is shown.
  explicit AdminClient(std::string url, std::string token = {});
  ~AdminClient();
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  /// Reading ends within a second or so when `flag` is set, by an exception; changes go on. Borrows it.
  void give_up_when(const std::atomic<bool>& flag) { given_up_ = &flag; }

  /// GET /api/v1/status. Throws std::runtime_error: "cannot reach http://127.0.0.1:8404: Connection refused (…)".
  [[nodiscard]] nlohmann::json status() const;
  /// GET /api/v1/decisions, likewise.
  [[nodiscard]] nlohmann::json decisions() const;
  /// POST …/state; `state` is drain, ready or maint. The back-end's address, pool and new state. Throws
  /// std::runtime_error with the proxy's own words (printable) when it refuses.
  [[nodiscard]] nlohmann::json set_state(std::string_view backend, std::string_view state,
                                         std::optional<Duration> close_over = {}) const;
  [[nodiscard]] nlohmann::json upgrade() const;

 private:
  [[nodiscard]] nlohmann::json call(const std::string& path, const std::string* body, long timeout_ms = 0) const;

  std::string url_;  ///< without the slash at its end
  const std::string token_;
  const std::atomic<bool>* given_up_ = nullptr;
};

/// Everything but unreserved characters as "%XX" (RFC 3986, 2.3): one segment of a path.
std::string percent_encode(std::string_view text);

}  // namespace farol::proxyctl
