#include "gateway/admin.hpp"

#include <nlohmann/json.hpp>

#include "common/program.hpp"
#include "http/text.hpp"

namespace farol::gateway {

http::Response Admin::respond(const http::Request& request) const {
  const auto path = http::path_of(request.target);
  if (request.method != "GET" && request.method != "HEAD")
    return http::plain(405, "want GET or HEAD").add("Allow", "GET, HEAD");
  if (path == "/healthz") return http::plain(200, "ok");
  if (path == "/readyz")
    return demultiplexer_.status().ready ? http::plain(200, "ready") : http::plain(503, "no file server is up");
  if (path == "/api/v1/status") return status();
  return http::plain(404, "no such path (want /healthz, /readyz or /api/v1/status)");
}

http::Response Admin::status() const {
  using nlohmann::json;
  const PoolStatus pool = demultiplexer_.status();
  json servers = json::array();
  for (const ServerStatus& server : pool.servers)
    servers.push_back({{"name", server.name},
                       {"address", server.address.text()},
                       {"state", to_string(server.state)},
                       {"left_out", server.left_out},
                       {"heard_ms_ago", to_ms(server.heard_ago)},
                       {"rtt_ms", to_ms(server.rtt)},
                       {"bytes_per_second", server.bytes_per_second},
                       {"chunks", {{"in_flight", server.in_flight},
                                   {"window", server.window},
                                   {"received", server.chunks},
                                   {"lost", server.lost},
                                   {"duplicate", server.duplicates}}}});
  const json all = {{"version", kVersion},
                    {"uptime_s", to_seconds(Clock::now() - started_)},
                    {"transfers", pool.transfers},
                    {"servers", std::move(servers)},
                    {"datagrams", {{"dropped", pool.dropped}, {"socket_full", pool.socket_drops}}}};
  return http::Response(200)
      .body("application/json", all.dump(-1, ' ', false, json::error_handler_t::replace) + "\n")
      .add("Cache-Control", "no-store");
}

}  // namespace farol::gateway
