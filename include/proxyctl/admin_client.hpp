#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace farol::proxyctl {

/// Talks to a proxy's admin endpoint, by libcurl: no redirects, no proxies from the environment, 5 s for each request.
/// Not thread-safe; one per program, for libcurl is initialised by it.
class AdminClient {
 public:
  /// `url` is the endpoint's root: "http://127.0.0.1:8404", the scheme may be left out. Throws UsageError.
  explicit AdminClient(std::string url);
  ~AdminClient();
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  /// GET /api/v1/status. Throws std::runtime_error: "cannot reach http://127.0.0.1:8404: Connection refused (…)".
  [[nodiscard]] nlohmann::json status() const;
  /// GET /api/v1/decisions, likewise.
  [[nodiscard]] nlohmann::json decisions() const;
  /// POST …/state; `state` is drain, ready or maint. The back-end's address, pool and new state. Throws
  /// std::runtime_error with the proxy's own words (printable) when it refuses.
  [[nodiscard]] nlohmann::json set_state(std::string_view backend, std::string_view state) const;

 private:
  [[nodiscard]] nlohmann::json call(const std::string& path, const std::string* body) const;

  std::string url_;  ///< without the slash at its end
};

/// Everything but unreserved characters as "%XX" (RFC 3986, 2.3): one segment of a path.
std::string percent_encode(std::string_view text);

/// Control bytes as "?": agents choose the names of their pools, and those must not steer the terminal.
std::string printable(std::string text);

}  // namespace farol::proxyctl
