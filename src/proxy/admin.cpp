#include "proxy/admin.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "common/program.hpp"
#include "http/text.hpp"
#include "proxy/decisions_json.hpp"
#include "proxy/status_json.hpp"

namespace farol::proxy {
namespace {

using http::Request;
using http::Response;
using nlohmann::json;

constexpr std::size_t kBodyBytes = 4 * 1024;
constexpr std::string_view kBackends = "/api/v1/backends/";
constexpr std::string_view kState = "/state";
constexpr std::string_view kIndex =
    "GET  /healthz         200 while the process lives\n"
    "GET  /readyz          200 when a back-end can be chosen, else 503\n"
    "GET  /api/v1/status   everything, as JSON\n"
    "GET  /api/v1/decisions    which back-ends were chosen of late, and why\n"
    "POST /api/v1/backends/ADDRESS:PORT[/POOL]/state   {\"state\": \"drain\" | \"ready\" | \"maint\"}";

Response json_response(int code, const json& content) {
  // A pool's name may hold any byte; a JSON text may not.
  return Response(code).body("application/json", content.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

Response failure(int code, const std::string& words) {
  return json_response(code, {{"error", words}});
}

Response wrong_method(const char* allowed) {
  return failure(405, std::string("want ") + allowed).add("Allow", allowed);
}

/// An IP address or localhost: a name that no stranger can point here.
bool is_own_name(std::string_view host) {
  return http::same_word(host, "localhost") || Address::parse_ip(host).has_value();
}

/// `Origin: http://127.0.0.1:8404`; "null" and everything odd is a stranger.
bool is_own_origin(std::string_view origin) {
  const auto scheme = origin.find("://");
  return scheme != std::string_view::npos && is_own_name(http::host_of(origin.substr(scheme + 3)));
}

bool is_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && content_type.back() == ' ') content_type.remove_suffix(1);
  return http::same_word(content_type, "application/json");
}

std::optional<AdminState> wanted_state(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object() || parsed.size() != 1) return std::nullopt;
  const auto state = parsed.find("state");
  if (state == parsed.end()) return std::nullopt;
  if (*state == "drain") return AdminState::drain;
  if (*state == "ready") return AdminState::ready;
  if (*state == "maint") return AdminState::maint;
  return std::nullopt;
}

const char* to_string(AdminState state) {
  switch (state) {
    case AdminState::ready:
      return "ready";
    case AdminState::drain:
      return "drain";
    case AdminState::maint:
      return "maint";
  }
  return "?";
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

Admin::Admin(ProxyView& proxy, const Address& listen)
    : proxy_(proxy), loopback_(Cidr::parse("127.0.0.0/8").contains(listen) || Cidr::parse("::1").contains(listen)) {}

http::Responder Admin::responder() const {
  return http::at_once([this](const Request& request) { return respond(request); });
}

http::Limits Admin::limits() {
  http::Limits limits;
  limits.request.body_bytes = kBodyBytes;
  return limits;
}

Response Admin::respond(const Request& request) const {
  const auto host = request.field("Host");
  if (loopback_ && !host.empty() && !is_own_name(http::host_of(host)))
    return failure(403, "the Host field must be an IP address or localhost here (it guards against DNS rebinding)");
  const auto path = http::path_of(request.target);
  Response response =
      path ? route(request, *path) : failure(400, "the target must be a path (want GET /api/v1/status)");
  response.add("Cache-Control", "no-store");
  return response;
}

Response Admin::route(const Request& request, std::string_view path) const {
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (const auto backend = named_backend(path))
    return request.method == "POST" ? change_state(request, *backend) : wrong_method("POST");
  for (const std::string_view known : {"/", "/healthz", "/readyz", "/api/v1/status", "/api/v1/decisions"})
    if (path == known && !reading) return wrong_method("GET, HEAD");
  if (path == "/healthz") return health();
  if (path == "/readyz") return readiness();
  if (path == "/api/v1/status") return status();
  if (path == "/api/v1/decisions") return decisions();
  if (path == "/") return http::plain(200, "Farol " + std::string(kVersion) + "\n\n" + std::string(kIndex));
  return failure(404, "no such path (GET / lists them)");
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

Response Admin::change_state(const Request& request, const std::string& backend) const {
  if (const auto origin = request.field("Origin"); !origin.empty() && !is_own_origin(origin))
    return failure(403, "a web page under another name may not change states (open it by its IP address)");
  if (!is_json(request.field("Content-Type"))) return failure(415, "want Content-Type: application/json");
  const auto state = wanted_state(request.body);
  if (!state) return failure(400, "want {\"state\": \"drain\"}, \"ready\" or \"maint\"");
  switch (proxy_.set_state(backend, *state)) {
    case ProxyView::Change::done:
      return changed(backend, *state);
    case ProxyView::Change::ambiguous:
      return ambiguous(backend);
    case ProxyView::Change::unknown_backend:
      break;
  }
  return failure(404, "no back-end " + backend + " (GET /api/v1/status lists them)");
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
