#include "proxy/server.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>
#include <system_error>

#include "common/error.hpp"
#include "common/udp.hpp"
#include "common/wait_until.hpp"
#include "proxy/config_changes.hpp"
#include "proxy/configured_backends.hpp"

namespace farol::proxy {
namespace {

constexpr std::size_t kAdminConnections = 128;  // half of them for dashboards
constexpr auto kUpgradePatience = std::chrono::seconds(30);
constexpr auto kLastAccepts = std::chrono::seconds(1), kLastAnswers = std::chrono::seconds(1);
constexpr std::size_t kAdminLeaving = 32;  ///< more than that, while those who have to make room go

std::optional<Token> token_in(const std::string& file) {
  return file.empty() ? std::nullopt : std::optional(Token::load(file));
}

BackendTable::Options table_options(const Config& config) {
  BackendTable::Options options;
  options.weighted = config.weighted;
  options.policy = config.policy;
  options.pool_policies = config.pool_policies;
  options.max_connections = config.max_connections_per_backend;
  options.require_agent = config.require_agent;
  options.served.clear();
  for (const Config::Endpoint& endpoint : config.listen) options.served.insert(endpoint.pool);
  return options;
}

monitoring::KeyRing load_keys(const Config& config) {
  return config.key_file.empty() ? monitoring::KeyRing() : monitoring::KeyRing::load(config.key_file);
}

void name_pools(BackendTable& table, const Config& config) {
  for (const auto& [pool, policy] : config.pool_policies) table.name_pool(pool);
}

/// What was inherited is for this configuration, all of it.
void check_inheritance(const Server::Inheritance& inheritance, const Config& config) {
  const std::string& engine = inheritance.notes.engine;
  if (!engine.empty()) {  // a process was followed: what this one does not want is closed with that one
    if (engine != to_string(config.engine))
      throw UsageError("--engine: the process to follow runs '" + engine + "' (stop it and start anew to change that)");
  } else if (const auto left = inheritance.sockets.left_over()) {
    throw StartError("the service manager hands over " + *left +
                     ", which is none of --listen, --monitor-listen and --admin (name it, or take it out of the socket unit)");
  }
}

std::unique_ptr<monitoring::MonitoringSocket> open_monitoring(const Address& address, const monitoring::KeyRing& keys,
                                                              InheritedSockets& inherited) {
  using monitoring::MonitoringSocket;
  try {
    if (Fd bound = inherited.take_udp(address))
      return std::make_unique<MonitoringSocket>(MonitoringSocket::End::proxy, keys, adopt_udp(std::move(bound)));
    return std::make_unique<MonitoringSocket>(MonitoringSocket::End::proxy, keys, address);
  } catch (const std::system_error& error) {
    throw udp_start_error(address, error, "an agent on this host? use --monitor-listen", "--monitor-listen :5555");
  }
}

}  // namespace

Server::Server(Config config, Inheritance inheritance, const Logger& log)
    : config_(std::move(config)),
      log_(log),
      started_(Clock::now()),
      account_(account_to_become(config_.get()->user)),
      kept_by_manager_(inheritance.notes.kept),
      admin_token_(token_in(config_.get()->admin_token_file)),
      table_(table_options(*config_.get())),
      clients_(*config_.get(), inheritance.sockets, table_, counters_, log),
      limits_(raise_and_read_limits(account_ ? account_->uid : ::geteuid())),
      admin_crowd_(kAdminConnections) {
  const auto now = config_.get();
  const monitoring::KeyRing keys = load_keys(*now);
  monitoring_socket_ = open_monitoring(now->monitor_listen, keys, inheritance.sockets);
  if (now->admin)
    admin_listener_ = std::make_shared<Listener>(*now->admin, "--admin 127.0.0.1:8404", &inheritance.sockets);
  check_inheritance(inheritance, *now);
  give_up_privileges();
  table_.take_orders(std::move(inheritance.notes.orders));
  name_pools(table_, *now);
  configure_backends(table_, now->backends, now->max_connections_per_backend, Clock::now());
  add_agents(table_, inheritance.notes.agents, now->timers, Clock::now());
  membership_ = std::make_unique<Membership>(table_, membership_rules(*now, !keys.empty()), counters_, log_);
  monitoring_ = std::make_unique<MonitoringService>(table_, *monitoring_socket_, *membership_, now->timers, log_,
                                                    &heartbeats_);
  if (!now->state_file.empty()) memory_.emplace(table_, *membership_, *monitoring_socket_, now->state_file, log_);
}

void Server::start() {
  clients_.start(*config_.get(), limits_, heartbeats_);
  start_admin();
  log_start();
  reporter_.emplace(heartbeats_, [this] { return status_line(); }, log_);
}

Server::~Server() { finish(); }

/// Everything that takes root is done, and no thread runs yet.
void Server::give_up_privileges() const {
  if (account_) {
    clients_.give_to(account_->uid);
    become(*account_);
  }
  check_files_readable(*config_.get());
}

Membership::Options Server::membership_rules(const Config& config, bool keys) const {
  Membership::Options rules{config.timers, config.allow, clients_.addresses()};
  if (rules.allow.empty() && !keys) rules.allow = private_ranges();
  return rules;
}

void Server::reload(Config next) {
  if (const auto flag = needs_restart(*config_.get(), next))
    throw UsageError(*flag + ": cannot change while the proxy runs (restart it, or take the change back)");
  monitoring::KeyRing keys = load_keys(next);
  std::optional<Token> token = token_in(next.admin_token_file);
  clients_.change(next);  // the last that can fail
  const std::size_t key_count = keys.size();
  name_pools(table_, next);
  table_.change_rules(table_options(next), Clock::now());
  membership_->change_rules(membership_rules(next, key_count > 0));
  monitoring_socket_->change_keys(std::move(keys));
  monitoring_->change_timers(next.timers);
  const BackendChanges backends =
      configure_backends(table_, next.backends, next.max_connections_per_backend, Clock::now());
  config_.set(std::move(next));
  admin_token_ = std::move(token);
  if (admin_) admin_->change_access(admin_access());
  ++reloads_done_;
  for (const Address& address : clients_.addresses()) log_.info("listening", {{"address", address.text()}});
  if (backends.left_out > 0) log_.warn("the table is full: static back-ends are left out", {{"backends", backends.left_out}});
  log_.info("configuration reloaded", {{"keys", key_count},
                                       {"backends_added", backends.added},
                                       {"backends_removed", backends.removed},
                                       {"backends_changed", backends.changed}});
  warn_of_unserved();
}

Task<> Server::serve_admin(Io& io, Accepted client) {
  const http::Responder respond = admin_->responder(client.peer);
  co_await http::serve_connection(io, std::move(client), respond, Admin::limits(), &admin_leaves_, &admin_crowd_);
}

http::AdminAccess Server::admin_access() const {
  return http::AdminAccess(admin_listener_->address(), admin_token_, config_.get()->admin_names);
}

void Server::start_admin() {
  if (!admin_listener_) return;
  feed_.emplace(*this);
  dashboard_.emplace(*feed_, "backend", "ADDRESS:PORT/POOL");
  admin_.emplace(*this, admin_access(), &*dashboard_);
  EngineOptions options;
  options.max_connections = kAdminConnections + kAdminLeaving;
  options.idle_workers = 2;
  options.name = "admin";
  Handler handler = [this](Io& io, Accepted client) { return serve_admin(io, std::move(client)); };
  admin_server_ = start_engine(EngineKind::threads, {admin_listener_}, std::move(handler), options, log_);
}

/// Of those that are configured, or were there before a listener went to another pool; who joins is told of then.
void Server::warn_of_unserved() const {
  std::map<std::string, std::size_t> unserved;
  for (const BackendStatus& backend : table_.status(Clock::now()))
    if (!backend.pool_served && !backend.leaving) ++unserved[backend.pool];
  for (const auto& [pool, backends] : unserved)
    log_.warn("no --listen serves this pool, which has back-ends", {{"pool", pool}, {"backends", backends}});
}

void Server::log_start() const {
  const std::size_t keys = monitoring_socket_->keys();
  for (const Address& address : clients_.addresses()) log_.info("listening", {{"address", address.text()}});
  warn_of_unserved();
  log_.info("monitoring", {{"address", monitoring_socket_->local_address().text()}, {"keys", keys}});
  if (account_) log_.info("running as", {{"user", account_->name}});
  if (admin_listener_) log_.info("admin", {{"url", "http://" + admin_listener_->address().text()}});
  if (admin_listener_ && !admin_token_ && !is_loopback(admin_listener_->address()))
    log_.warn("no --admin-token-file: nothing can be changed through the admin API",
              {{"admin", admin_listener_->address().text()}});
  if (keys > 0 || !config_.get()->allow.empty()) return;
  std::string ranges;
  for (const Cidr& range : private_ranges()) ranges += (ranges.empty() ? "" : ",") + range.text();
  log_.warn("no --key-file: any agent in these ranges may register", {{"allow", ranges}});
}

void Server::find_agents(TimePoint deadline) const {
  wait_until([&] { return unheard_agents(table_) == 0; }, deadline);
}

Legacy Server::legacy() {
  Legacy legacy;
  legacy.sockets = clients_.descriptors();
  legacy.sockets.push_back(monitoring_socket_->fd());
  if (admin_listener_) legacy.sockets.push_back(admin_listener_->fd());
  HandoverNotes notes;
  notes.engine = to_string(config_.get()->engine);
  notes.memory_is_private = memory_is_private();
  notes.kept = clients_.kept_addresses();
  notes.orders = table_.orders();
  notes.agents = agents_of(table_);
  legacy.notes = format_notes(notes);
  return legacy;
}

void Server::hold_back(bool on) { monitoring_->pause(on); }

void Server::handed_over() {
  handed_over_ = true;
  admin_leaves_ = true;
  reporter_.reset();  // the service manager looks to the other one
  clients_.release(Clock::now() + kLastAccepts);
  if (admin_server_) {
    dashboard_->send_away();
    admin_server_->release();
    if (wait_until([this] { return !admin_server_->accepts(); }, Clock::now() + kLastAccepts)) {
      admin_server_->drop_listeners();
      admin_listener_.reset();
    }
  }
  if (memory_) memory_->give_up_file();
  monitoring_->stop(MonitoringService::Farewell::none);
}

void Server::took_over() {
  clients_.own_listeners_but(kept_by_manager_);
  if (admin_listener_) admin_listener_->set_kept(false);
}

UpgradeOutcome Server::upgrade() {
  if (draining_) return {0, "this process is stopping"};
  if (::getpid() == 1) return {0, "this is process 1, with which its container ends: replace the container"};
  if (upgrading_.exchange(true)) return {0, "an upgrade is under way already"};
  const std::uint64_t before = upgrades_.count();
  ::kill(::getpid(), SIGUSR2);
  const auto outcome = upgrades_.wait_for_next(before, Clock::now() + kUpgradePatience);
  return outcome.value_or(UpgradeOutcome{0, "it takes too long (the log says what became of it)"});
}

void Server::stop_accepting() {
  draining_ = true;
  if (handed_over_) return;
  notify_stopping();
  clients_.engine().stop();
}

void Server::finish() {
  if (std::exchange(finished_, true)) return;
  reporter_.reset();
  if (handed_over_ && admin_server_)  // who asked for that is still to be answered
    wait_until([&] { return admin_server_->active() == 0; }, Clock::now() + kLastAnswers);
  admin_server_.reset();  // before what it tells of
  admin_.reset();
  dashboard_.reset();
  clients_.stop();
  memory_.reset();
  monitoring_->stop();
}

ProxyStatus Server::status() const {
  ProxyStatus status;
  const TimePoint now = Clock::now();
  status.started = started_on_;
  status.uptime = now - started_;
  const Engine& relays = clients_.engine();
  const auto config = config_.get();
  status.engine = to_string(config->engine);
  status.policy = to_string(config->policy);
  status.reloads_done = reloads_done_;
  status.reloads_failed = reloads_failed_;
  status.connections_active = relays.active();
  status.connections_waiting = table_.waiting();
  status.connections_most = relays.max_connections();
  status.queue_most = config->max_queue;
  status.threads_most = limits_.threads;
  status.descriptors_most = limits_.descriptors;
  status.connections_fit = clients_.fit().connections;
  status.bound_by = clients_.fit().bound_by;
  status.monitoring.address = monitoring_socket_->local_address().text();
  status.monitoring.keys = monitoring_socket_->keys();
  membership_->fill(status.monitoring, now);
  status.log_lines_dropped = log_.dropped();
  counters_.fill(status, {relays.refused(), relays.refused_at()}, now);
  status.ready = table_.ready(now);
  status.draining = draining_;
  status.listeners = clients_.listeners();
  status.pools = table_.pools();
  status.backends = table_.status(now);
  return status;
}

/// What `systemctl status` shows.
std::string Server::status_line() const {
  const std::vector<BackendStatus> backends = table_.status(Clock::now());
  const auto serving = std::count_if(backends.begin(), backends.end(), [](const BackendStatus& backend) {
    return backend.pool_served && (backend.state == State::up || backend.state == State::stale);
  });
  return fmt::format("{}{} of {} back-ends serve, {} connections", draining_ ? "draining: " : "", serving,
                     backends.size(), clients_.engine().active());
}

std::vector<Decision> Server::decisions() const { return table_.decisions(); }

ProxyView::Change Server::set_state(const std::string& backend, const Order& order) {
  const Change change = table_.set_state(backend, order.state, Clock::now(), order.close_over);
  if (change != Change::done) return change;
  const LogField who{"by", order.by}, what{"backend", backend}, state{"state", to_string(order.state)};
  if (order.close_over)
    log_.info("operator's order", {what, state, {"close_over_s", to_seconds(*order.close_over), 1}, who});
  else
    log_.info("operator's order", {what, state, who});
  return change;
}

}  // namespace farol::proxy
