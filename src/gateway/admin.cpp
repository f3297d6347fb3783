#include "gateway/admin.hpp"

#include <algorithm>

#include "common/metrics_page.hpp"
#include "common/process_figures.hpp"
#include "common/program.hpp"
#include "gateway/metrics_text.hpp"
#include "gateway/status_json.hpp"
#include "http/text.hpp"

namespace farol::gateway {
namespace {

using http::Request;
using http::Response;

constexpr std::string_view kIndex =
    "GET  /                    the dashboard, for a browser\n"
    "GET  /api                 this list\n"
    "GET  /healthz             200 while the process lives\n"
    "GET  /readyz              200 when a file server is up, else 503\n"
    "GET  /api/v1/status       everything, as JSON\n"
    "GET  /metrics             the figures, for Prometheus\n"
    "GET  /api/v1/events       everything, then what changes, once a second (server-sent events)\n"
    "GET  /api/v1/history?server=NAME    the last 15 minutes of one file server, as JSON";
constexpr std::string_view kPaths[] = {"/",        "/api",           "/healthz",       "/readyz", "/api/v1/status",
                                       "/metrics", "/api/v1/events", "/api/v1/history"};

}  // namespace

Response Admin::respond(const Request& request) const {
  if (const auto refusal = access_.refuses(request)) return http::plain(refusal->status, refusal->words);
  const auto path = http::path_of(request.target);
  Response response =
      path ? route(request, *path) : http::plain(400, "the target must be a path (want GET /api/v1/status)");
  if (response.field("Cache-Control").empty()) response.add("Cache-Control", "no-store");
  return response;
}

Response Admin::route(const Request& request, std::string_view path) const {
  if (std::find(std::begin(kPaths), std::end(kPaths), path) == std::end(kPaths))
    return http::plain(404, "no such path (GET /api lists them)");
  if (request.method != "GET" && request.method != "HEAD")
    return http::plain(405, "want GET or HEAD").add("Allow", "GET, HEAD");
  if (path == "/healthz") return http::plain(200, "ok");
  if (path == "/readyz") return readiness();
  if (path == "/api/v1/status") return Response(200).body("application/json", status_json(gateway_.status()));
  if (path == "/metrics")
    return Response(200).body(MetricsPage::kContentType, metrics_text(gateway_.status(), read_process_figures()));
  if (auto page = dashboard_.respond(request, path)) return std::move(*page);
  return http::plain(200, "Farol " + std::string(kVersion) + "\n\n" + std::string(kIndex));
}

Response Admin::readiness() const {
  const GatewayStatus now = gateway_.status();
  if (now.draining) return http::plain(503, "draining: the gateway is stopping");
  return now.pool.ready ? http::plain(200, "ready") : http::plain(503, "no file server is up");
}

}  // namespace farol::gateway
