#include "dashboard/dashboard.hpp"

#include "http/text.hpp"

namespace farol::dashboard {

std::optional<http::Response> Dashboard::respond(const http::Request& request, std::string_view path) {
  if (path == "/") return page_.respond(request);
  if (path == "/api/v1/events") return live_.events();
  if (path == "/api/v1/history") return history(request);
  return std::nullopt;
}

http::Response Dashboard::history(const http::Request& request) {
  const auto query = http::query_of(request.target);
  const std::string key = std::string(row_) + "=";
  const auto id = query.starts_with(key) ? http::percent_decode(query.substr(key.size())) : std::nullopt;
  if (!id) return http::plain(400, "want ?" + key + std::string(id_));
  auto points = feed_.history(*id);
  if (!points) return http::plain(404, "no such " + std::string(row_));
  return http::Response(200).body("application/json", std::move(*points));
}

}  // namespace farol::dashboard
