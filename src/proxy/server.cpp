#include "proxy/server.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "common/error.hpp"
#include "common/udp.hpp"
#include "proxy/backend_table_access.hpp"

namespace farol::proxy {
namespace {

constexpr std::size_t kAdminConnections = 64;

BackendTable::Options table_options(const Config& config) {
  BackendTable::Options options;
  options.weighted = config.weighted;
  options.policy = config.policy;
  options.pool_policies = config.pool_policies;
  options.max_connections = config.max_connections_per_backend;
  options.require_agent = config.require_agent;
  return options;
}

std::unique_ptr<monitoring::MonitoringSocket> open_monitoring(const Address& address, const monitoring::KeyRing& keys) {
  using monitoring::MonitoringSocket;
  try {
    return std::make_unique<MonitoringSocket>(MonitoringSocket::End::proxy, keys, address);
  } catch (const std::system_error& error) {
    throw udp_start_error(address, error, "an agent on this host? use --monitor-listen", "--monitor-listen :5555");
  }
}

}  // namespace

Server::Server(const Config& config, const Logger& log)
    : config_(config),
      log_(log),
      started_(Clock::now()),
      account_(account_to_become(config.user)),
      keys_(config.key_file.empty() ? monitoring::KeyRing() : monitoring::KeyRing::load(config.key_file)),
      table_(table_options(config)),
      limits_(raise_and_read_limits(account_ ? account_->uid : ::geteuid())),
      sessions_{table_, counters_, log, {}, config.connect_timeout, config.retries,
                {config.idle_timeout, config.fin_timeout, config.user_timeout, config.max_lifetime},
                {config.queue_timeout, config.max_queue}} {
  if (config.max_connections_per_source > 0) sessions_.sources = &sources_.emplace(config.max_connections_per_source);
  for (const Config::Endpoint& endpoint : config.listen) {
    listeners_.emplace_back(endpoint.address, "--listen :8080");
    if (config.user_timeout > Duration::zero()) listeners_.back().probe_idle_clients(config.user_timeout);
    sessions_.pools.push_back(&table_.name_pool(endpoint.pool));
  }
  monitoring_socket_ = open_monitoring(config.monitor_listen, keys_);
  if (config.admin) admin_listener_.emplace(*config.admin, "--admin 127.0.0.1:8404");
  give_up_privileges();
  add_configured_backends();

  Membership::Options rules{config.timers, config.allow, {}};
  if (rules.allow.empty() && keys_.empty()) rules.allow = private_ranges();
  for (const Listener& listener : listeners_) rules.listeners.push_back(listener.address());
  membership_ = std::make_unique<Membership>(table_, std::move(rules), counters_, log_);
  monitoring_ = std::make_unique<MonitoringService>(table_, *monitoring_socket_, *membership_, config.timers, log_,
                                                    &heartbeats_);
  if (!config.state_file.empty())
    memory_.emplace(table_, *membership_, *monitoring_socket_, config.state_file, log_);
  start_relays();
  start_admin();
  log_start();
  reporter_.emplace(heartbeats_, [this] { return status_line(); }, log_);
}

Server::~Server() { finish(); }

/// Everything that takes root is done, and no thread runs yet.
void Server::give_up_privileges() {
  if (account_) {
    for (const Listener& listener : listeners_) listener.give_to(account_->uid);
    become(*account_);
  }
  if (!config_.key_file.empty()) check_readable(config_.key_file, "key file");
}

void Server::add_configured_backends() {
  for (const auto& [pool, policy] : config_.pool_policies) table_.name_pool(pool);
  for (const Config::StaticBackend& configured : config_.backends) {
    table_.name_pool(configured.pool);
    const BackendTable::Access rows(table_);
    Backend* added = rows.add({configured.address, monitoring::pool_id(configured.pool)}, Source::configured);
    if (added == nullptr) continue;
    added->weight = configured.weight;
    added->backup = configured.backup;
    added->max_connections = configured.max_connections.value_or(config_.max_connections_per_backend);
    added->next_check = Clock::now();
    rows.refresh(*added, Clock::now());
  }
}

void Server::start_relays() {
  const std::size_t threads_each = config_.engine == EngineKind::threads ? 2 : 0;
  const Capacity fit = capacity_within(limits_, threads_each, kMaxPipes);
  EngineOptions options;
  options.reactors = config_.workers;
  options.max_connections = config_.max_connections == 0 ? fit.connections : config_.max_connections;
  options.max_pipes = fit.pipes;
  options.heartbeats = &heartbeats_;
  if (options.max_connections > fit.connections)
    log_.warn("the limits of this process are too low for --max-connections",
              {{"max_connections", options.max_connections},
               {"limits_allow", fit.connections},
               {"bound_by", fit.bound_by}});
  std::vector<const Listener*> listeners;
  for (const Listener& listener : listeners_) listeners.push_back(&listener);
  Handler handler = [this](Io& io, Accepted client) { return serve_client(io, std::move(client), sessions_); };
  relays_ = start_engine(config_.engine, std::move(listeners), std::move(handler), options, log_);
}

void Server::start_admin() {
  if (!admin_listener_) return;
  admin_.emplace(*this, admin_listener_->address());
  respond_ = admin_->responder();
  EngineOptions options;
  options.max_connections = kAdminConnections;
  options.idle_workers = 2;
  options.name = "admin";
  Handler handler = [this](Io& io, Accepted client) {
    return http::serve_connection(io, std::move(client), respond_, Admin::limits());
  };
  admin_server_ = start_engine(EngineKind::threads, {&*admin_listener_}, std::move(handler), options, log_);
}

void Server::log_start() const {
  for (const Listener& listener : listeners_) log_.info("listening", {{"address", listener.address().text()}});
  log_.info("monitoring", {{"address", monitoring_socket_->local_address().text()}, {"keys", keys_.size()}});
  if (account_) log_.info("running as", {{"user", account_->name}});
  if (admin_listener_) log_.info("admin", {{"url", "http://" + admin_listener_->address().text()}});
  if (!keys_.empty() || !config_.allow.empty()) return;
  std::string ranges;
  for (const Cidr& range : private_ranges()) ranges += (ranges.empty() ? "" : ",") + range.text();
  log_.warn("no --key-file: any agent in these ranges may register", {{"allow", ranges}});
}

void Server::stop_accepting() {
  draining_ = true;
  relays_->stop();
}

void Server::finish() {
  if (!relays_) return;
  reporter_.reset();
  relays_->stop();
  relays_->cut();
  admin_server_.reset();  // before what it tells of
  relays_.reset();
  memory_.reset();
  monitoring_->stop();
}

ProxyStatus Server::status() const {
  ProxyStatus status;
  const TimePoint now = Clock::now();
  status.uptime = now - started_;
  status.engine = to_string(config_.engine);
  status.policy = to_string(config_.policy);
  status.connections_active = relays_->active();
  status.connections_waiting = table_.waiting();
  status.connections_most = relays_->max_connections();
  counters_.fill(status, relays_->refused());
  status.ready = table_.ready(now);
  status.draining = draining_;
  status.backends = table_.status(now);
  return status;
}

/// What `systemctl status` shows.
std::string Server::status_line() const {
  const std::vector<BackendStatus> backends = table_.status(Clock::now());
  const auto serving = std::count_if(backends.begin(), backends.end(), [](const BackendStatus& backend) {
    return backend.state == State::up || backend.state == State::stale;
  });
  return fmt::format("{}{} of {} back-ends serve, {} connections", draining_ ? "draining: " : "", serving,
                     backends.size(), relays_->active());
}

std::vector<Decision> Server::decisions() const { return table_.decisions(); }

ProxyView::Change Server::set_state(const std::string& backend, AdminState state) {
  const Change change = table_.set_state(backend, state, Clock::now());
  if (change == Change::done)
    log_.info("operator's order", {{"backend", backend},
                                   {"state", state == AdminState::ready   ? "ready"
                                             : state == AdminState::drain ? "drain"
                                                                          : "maint"}});
  return change;
}

}  // namespace farol::proxy
