#include "gateway/server.hpp"

#include <unistd.h>

#include <system_error>

#include "common/error.hpp"
#include "common/limits.hpp"
#include "common/service_manager.hpp"
#include "common/udp.hpp"

namespace farol::gateway {
namespace {

constexpr std::size_t kAdminConnections = 128;  // half of them for dashboards
constexpr std::size_t kAdminLeaving = 32;       ///< more than that, while those who have to make room go
constexpr const char* kWayOut = "HttpGw 0.0.0.0 8080";

transfer::TransferSocket open_socket(const Address& address) {
  try {
    return transfer::TransferSocket(address);
  } catch (const std::system_error& error) {
    throw udp_start_error(address, error, std::string("another gateway on this host? try ") + kWayOut, kWayOut);
  }
}

}  // namespace

GatewayServer::GatewayServer(const Config& config, const Logger& log)
    : config_(config), log_(log), types_(MediaTypes::load()), listener_(std::make_shared<Listener>(config.listen, kWayOut)),
      admin_crowd_(kAdminConnections) {
  if (config.admin) admin_listener_ = std::make_shared<Listener>(*config.admin, "--admin 127.0.0.1:8405");
  Sessions::Options sessions;
  sessions.allow = config.allow.empty() ? private_ranges() : config.allow;
  demultiplexer_ =
      std::make_unique<Demultiplexer>(open_socket(listener_->address()), sessions, Fetcher::Options{}, log);
  handler_ = std::make_unique<Handler>(*demultiplexer_, types_, meters_, log);
  start_clients();
  start_admin();
  log_start();
}

Task<> GatewayServer::serve(Io& io, Accepted client) {
  const std::string peer = client.peer.text();
  const http::Responder respond = [this, &peer](Io& its_io, const http::Request& request) {
    return handler_->respond(its_io, request, peer);
  };
  Task<> serving = http::serve_connection(io, std::move(client), respond, http::Limits{}, &draining_, nullptr, &answers_);
  co_await serving;
}

void GatewayServer::start_clients() {
  EngineOptions options;
  const std::size_t threads_each = config_.engine == EngineKind::threads ? 1 : 0;
  options.max_connections = capacity_within(raise_and_read_limits(::geteuid()), threads_each, 0).connections;
  options.max_pipes = 0;  // what it sends comes from memory
  options.reactors = config_.workers;
  options.name = "handler";
  farol::Handler serve_client = [this](Io& io, Accepted client) { return serve(io, std::move(client)); };
  clients_ = start_engine(config_.engine, {listener_}, std::move(serve_client), options, log_);
}

void GatewayServer::start_admin() {
  if (!admin_listener_) return;
  feed_.emplace(*this);
  dashboard_.emplace(*feed_, "server", "NAME");
  admin_.emplace(*this, http::AdminAccess(admin_listener_->address(), std::nullopt, config_.admin_names), *dashboard_);
  admin_responder_ = http::at_once([this](const http::Request& request) { return admin_->respond(request); });
  EngineOptions options;
  options.max_connections = kAdminConnections + kAdminLeaving;
  options.idle_workers = 2;
  options.name = "admin";
  farol::Handler serve_client = [this](Io& io, Accepted client) {
    return http::serve_connection(io, std::move(client), admin_responder_, http::Limits{}, nullptr, &admin_crowd_);
  };
  admin_server_ = start_engine(EngineKind::threads, {admin_listener_}, std::move(serve_client), options, log_);
}

void GatewayServer::log_start() const {
  log_.info("Running", {{"http", "http://" + listener_->address().text()}, {"file_servers", "UDP " + listener_->address().text()}});
  if (admin_listener_) log_.info("admin", {{"url", "http://" + admin_listener_->address().text()}});
  std::string ranges;
  for (const Cidr& range : config_.allow.empty() ? private_ranges() : config_.allow)
    ranges += (ranges.empty() ? "" : ",") + range.text();
  log_.warn("file servers are not authenticated: any in these ranges may register", {{"allow", ranges}});
}

void GatewayServer::stop_accepting() {
  draining_ = true;
  notify_stopping();
  clients_->stop();
}

void GatewayServer::finish() {
  if (!clients_) return;
  clients_->stop();
  demultiplexer_->stop();  // whoever waits for a file learns that there will be none
  clients_->cut();
  admin_server_.reset();  // before what it tells of
  admin_.reset();
  dashboard_.reset();
  clients_.reset();
}

GatewayStatus GatewayServer::status() const {
  GatewayStatus status;
  status.started = started_on_;
  status.uptime = Clock::now() - started_;
  status.engine = to_string(config_.engine);
  status.connections_active = clients_->active();
  status.connections_most = clients_->max_connections();
  status.connections_refused = clients_->refused();
  status.draining = draining_;
  status.log_lines_dropped = log_.dropped();
  status.answers = answers_.counts();
  status.bytes = meters_.bytes.load(std::memory_order_relaxed);
  status.first_byte = meters_.first_byte.counts();
  status.transfer_time = meters_.transfer_time.counts();
  status.pool = demultiplexer_->status();
  status.pool.failed.push_back({"client_gone", meters_.clients_gone.load(std::memory_order_relaxed)});
  return status;
}

}  // namespace farol::gateway
