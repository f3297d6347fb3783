#include "proxy/admin.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "common/json_text.hpp"
#include "common/metrics_page.hpp"
#include "common/process_figures.hpp"
#include "common/program.hpp"
#include "http/text.hpp"
#include "proxy/decisions_json.hpp"
#include "proxy/metrics_text.hpp"
#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using http::Request;
using http::Response;
using nlohmann::json;

constexpr std::size_t kBodyBytes = 4 * 1024;
constexpr std::string_view kBackends = "/api/v1/backends/";
constexpr std::string_view kState = "/state";
constexpr std::string_view kUpgrade = "/api/v1/upgrade";
constexpr double kLongestClosing = 7 * 24 * 3600;  ///< seconds
constexpr std::string_view kIndex =
    "GET  /                    the dashboard, for a browser\n"
    "GET  /api                 this list\n"
    "GET  /healthz             200 while the process lives\n"
    "GET  /readyz              200 when a back-end of a listener's pool can be chosen, else 503\n"
    "GET  /api/v1/status       everything, as JSON\n"
    "GET  /api/v1/decisions    which back-ends were chosen of late, and why\n"
    "GET  /metrics             the figures, for Prometheus\n"
    "GET  /api/v1/events       everything, then what changes, once a second (server-sent events)\n"
    "GET  /api/v1/history?backend=ADDRESS:PORT/POOL    the last 15 minutes of one back-end, as JSON\n"
    "POST /api/v1/backends/ADDRESS:PORT[/POOL]/state   {\"state\": \"drain\" | \"ready\" | \"maint\"}; with\n"
    "     \"close_over_s\": 30 besides, the back-end's connections are closed, spread over half a minute\n"
    "POST /api/v1/upgrade  a new process of the program takes over the sockets; answered when it serves";

Response json_response(int code, const json& content) {
  // A pool's name may hold any byte; a JSON text may not.
  return Response(code).body("application/json", json_text(content) + "\n");
}

Response failure(int code, const std::string& words) {
  return json_response(code, {{"error", words}});
}

Response wrong_method(const char* allowed) {
  return failure(405, std::string("want ") + allowed).add("Allow", allowed);
}

Response failure(const http::AdminAccess::Refusal& refusal) {
  Response response = failure(refusal.status, refusal.words);
  if (refusal.status == 401) response.add("WWW-Authenticate", "Bearer");
  return response;
}

std::optional<Order> understood(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  Order order;
  bool named = false;
  for (const auto& [key, value] : parsed.items()) {
    if (key == "state") {
      for (const AdminState state : {AdminState::ready, AdminState::drain, AdminState::maint})
        if (value == to_string(state)) {
          order.state = state;
          named = true;
        }
    } else if (key == "close_over_s" && value.is_number() && value >= 0 && value <= kLongestClosing) {
      order.close_over = from_seconds(value.get<double>());
    } else {
      return std::nullopt;
    }
  }
  const bool contradicts = order.close_over && order.state == AdminState::ready;
  return named && !contradicts ? std::optional(order) : std::nullopt;
}

std::string full_name(const BackendStatus& backend) {
  return backend.address.text() + "/" + backend.pool;
}

bool is_called(const BackendStatus& backend, const std::string& name) {
  return backend.address.text() == name || full_name(backend) == name;
}

/// The back-end that "/api/v1/backends/…/state" names, decoded; empty when the path is another.
std::optional<std::string> named_backend(std::string_view path) {
  if (path.size() <= kBackends.size() + kState.size() || path.substr(0, kBackends.size()) != kBackends ||
      path.substr(path.size() - kState.size()) != kState)
    return std::nullopt;
  return http::percent_decode(path.substr(kBackends.size(), path.size() - kBackends.size() - kState.size()));
}

}  // namespace

Admin::Admin(ProxyView& proxy, http::AdminAccess access, dashboard::Dashboard* dashboard)
    : proxy_(proxy), access_(std::move(access)), dashboard_(dashboard) {}

http::Responder Admin::responder(const Address& peer) const {
  return http::at_once([this, peer](const Request& request) { return respond(request, peer); });
}

http::Limits Admin::limits() {
  http::Limits limits;
  limits.request.body_bytes = kBodyBytes;
  return limits;
}

Response Admin::respond(const Request& request, const Address& peer) const {
  if (const auto refusal = access_.get()->refuses(request)) return failure(*refusal);
  const auto path = http::path_of(request.target);
  Response response =
      path ? route(request, *path, peer) : failure(400, "the target must be a path (want GET /api/v1/status)");
  if (response.field("Cache-Control").empty()) response.add("Cache-Control", "no-store");
  return response;
}

Response Admin::route(const Request& request, std::string_view path, const Address& peer) const {
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (const auto backend = named_backend(path))
    return request.method == "POST" ? change_state(request, *backend, peer) : wrong_method("POST");
  if (path == kUpgrade) return request.method == "POST" ? upgrade(request) : wrong_method("POST");
  for (const std::string_view known : {"/", "/api", "/healthz", "/readyz", "/api/v1/status", "/api/v1/decisions",
                                       "/api/v1/events", "/api/v1/history", "/metrics"})
    if (path == known && !reading) return wrong_method("GET, HEAD");
  if (path == "/healthz") return health();
  if (path == "/readyz") return readiness();
  if (path == "/api/v1/status") return status();
  if (path == "/api/v1/decisions") return decisions();
  if (path == "/metrics") return metrics();
  if (dashboard_ != nullptr)
    if (auto page = dashboard_->respond(request, path)) return std::move(*page);
  if (path == "/api") return http::plain(200, "Farol " + std::string(kVersion) + "\n\n" + std::string(kIndex));
  return failure(404, "no such path (GET /api lists them)");
}

Response Admin::health() const {
  return http::plain(200, "ok");
}

Response Admin::readiness() const {
  const ProxyStatus now = proxy_.status();
  if (now.draining) return http::plain(503, "draining: the proxy is stopping");
  if (!now.ready) return http::plain(503, "no back-end can be chosen");
  return http::plain(200, "ready");
}

Response Admin::status() const {
  return Response(200).body("application/json", status_json(proxy_.status()));
}

Response Admin::decisions() const {
  return Response(200).body("application/json", decisions_json(proxy_.decisions(), Clock::now()));
}

Response Admin::metrics() const {
  return Response(200).body(MetricsPage::kContentType, metrics_text(proxy_.status(), read_process_figures()));
}

Response Admin::change_state(const Request& request, const std::string& backend, const Address& peer) const {
  if (const auto refusal = access_.get()->refuses_change(request)) return failure(*refusal);
  auto order = understood(request.body);
  if (!order)
    return failure(400, "want {\"state\": \"drain\"}, \"ready\" or \"maint\"; with the first and the last \"close_over_s\": "
                        "seconds over which its connections are closed, at most a week");
  order->by = peer == Address() ? "" : peer.text();
  switch (proxy_.set_state(backend, *order)) {
    case ProxyView::Change::done:
      return changed(backend, order->state);
    case ProxyView::Change::ambiguous:
      return ambiguous(backend);
    case ProxyView::Change::unknown_backend:
      break;
  }
  return failure(404, "no back-end " + backend + " (GET /api/v1/status lists them)");
}

Response Admin::upgrade(const Request& request) const {
  if (const auto refusal = access_.get()->refuses_change(request)) return failure(*refusal);
  const UpgradeOutcome outcome = proxy_.upgrade();
  return outcome.process > 0 ? json_response(200, {{"process", outcome.process}}) : failure(500, outcome.failure);
}

Response Admin::changed(const std::string& backend, AdminState wanted) const {
  const ProxyStatus now = proxy_.status();
  for (const BackendStatus& each : now.backends)
    if (is_called(each, backend))
      return json_response(200,
                           {{"address", each.address.text()}, {"pool", each.pool}, {"state", to_string(each.state)}});
  return json_response(200, {{"address", backend}, {"pool", nullptr}, {"state", to_string(wanted)}});  // gone since
}

Response Admin::ambiguous(const std::string& backend) const {
  std::string names;
  const ProxyStatus now = proxy_.status();
  for (const BackendStatus& each : now.backends)
    if (is_called(each, backend)) names += (names.empty() ? "" : " or ") + full_name(each);
  return failure(409, backend + " is in more than one pool (say " + names + ")");
}

}  // namespace farol::proxy
