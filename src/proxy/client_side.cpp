#include "proxy/client_side.hpp"

#include <algorithm>
#include <utility>

#include "common/error.hpp"
#include "common/wait_until.hpp"

namespace farol::proxy {

ClientSide::ClientSide(const Config& config, InheritedSockets& inherited, BackendTable& table, Counters& counters,
                       const Logger& log)
    : table_(table),
      counters_(counters),
      log_(log),
      sources_(config.max_connections_per_source),
      context_(context(config, {})) {
  std::vector<Pool*> pools;
  for (const Config::Endpoint& wanted : config.listen) {
    endpoints_.push_back(open(wanted, config, &inherited));
    pools.push_back(&table_.name_pool(wanted.pool));
  }
  context_.set(context(config, std::move(pools)));
  tell_listeners();
}

ClientSide::Endpoint ClientSide::open(const Config::Endpoint& wanted, const Config& config,
                                      InheritedSockets* inherited) {
  auto listener = std::make_shared<const Listener>(wanted.address, "--listen :8080", inherited);
  listener->probe_idle_clients(config.user_timeout);
  return {wanted.address, wanted.pool, next_number_++, std::move(listener)};
}

/// What is to go is there until what is new has been opened, so that a change that fails has changed nothing.
ClientSide::Endpoint ClientSide::open_beside_others(const Config::Endpoint& wanted, const Config& config) {
  for (const Endpoint& other : endpoints_)
    if (overlap(other.listener->address(), wanted.address))
      throw StartError("--listen: " + Listener::own_in_the_way(wanted.address, other.listener->address()));
  return open(wanted, config);
}

SessionContext ClientSide::context(const Config& config, std::vector<Pool*> pools) {
  return {table_,
          counters_,
          log_,
          std::move(pools),
          config.connect_timeout,
          {config.retries.value_or(kRetries), config.retries ? Duration::zero() : config.connect_timeout},
          {config.idle_timeout, config.fin_timeout, config.user_timeout, config.max_lifetime},
          {config.queue_timeout, config.max_queue},
          config.max_connections_per_source > 0 ? &sources_ : nullptr};
}

void ClientSide::give_to(uid_t user) const {
  for (const Endpoint& endpoint : endpoints_) endpoint.listener->give_to(user);
}

void ClientSide::start(const Config& config, const ProcessLimits& limits, Heartbeats& heartbeats) {
  const std::size_t threads_each = config.engine == EngineKind::threads ? 2 : 0;
  fit_ = capacity_within(limits, threads_each, kMaxPipes);
  EngineOptions options;
  options.reactors = config.workers;
  options.max_pipes = fit_->pipes;
  options.heartbeats = &heartbeats;
  std::vector<std::shared_ptr<const Listener>> listeners;
  for (const Endpoint& endpoint : endpoints_) listeners.push_back(endpoint.listener);
  Handler handler = [this](Io& io, Accepted client) { return serve_client(io, std::move(client), context_.get()); };
  options.max_connections = most_connections(config);
  engine_ = start_engine(config.engine, listeners, std::move(handler), options, log_);
}

/// As many as are wanted, or as the limits allow.
std::size_t ClientSide::most_connections(const Config& config) const {
  if (config.max_connections > fit_->connections)
    log_.warn("the limits of this process are too low for --max-connections",
              {{"max_connections", config.max_connections},
               {"limits_allow", fit_->connections},
               {"bound_by", fit_->bound_by}});
  return config.max_connections == 0 ? fit_->connections : config.max_connections;
}

ClientSide::Endpoint* ClientSide::find(const Address& configured) {
  const auto found = std::find_if(endpoints_.begin(), endpoints_.end(),
                                  [&](const Endpoint& endpoint) { return endpoint.configured == configured; });
  return found == endpoints_.end() ? nullptr : &*found;
}

void ClientSide::change(const Config& next) {
  const auto stays = [&](const Endpoint& endpoint) {
    return std::any_of(next.listen.begin(), next.listen.end(),
                       [&](const auto& wanted) { return wanted.address == endpoint.configured; });
  };
  for (const Endpoint& endpoint : endpoints_)
    if (endpoint.listener->kept() && !stays(endpoint))
      throw UsageError("--listen: " + endpoint.configured.text() +
                       " comes from the service manager, which goes on listening (restart the proxy without it)");
  std::vector<Endpoint> added;
  for (const Config::Endpoint& wanted : next.listen)
    if (find(wanted.address) == nullptr) added.push_back(open_beside_others(wanted, next));
  listen_also(added, next);
  endpoints_.insert(endpoints_.end(), added.begin(), added.end());

  std::vector<Pool*> pools = context_.get()->pools;
  for (const Config::Endpoint& wanted : next.listen) {
    Endpoint& endpoint = *find(wanted.address);
    pools[endpoint.number] = &table_.name_pool(wanted.pool);
    endpoint.pool = wanted.pool;
  }
  sources_.change(next.max_connections_per_source);
  engine_->limit_connections(most_connections(next));
  context_.set(context(next, std::move(pools)));
  std::erase_if(endpoints_, [&](const Endpoint& endpoint) {
    const bool kept = stays(endpoint);
    kept ? endpoint.listener->probe_idle_clients(next.user_timeout) : endpoint.listener->close_listening();
    return !kept;
  });
  tell_listeners();
}

/// The pools come first: a client may be there at once. Who cannot listen takes back what the others began.
void ClientSide::listen_also(std::vector<Endpoint>& added, const Config& next) {
  SessionContext with_pools = *context_.get();
  with_pools.pools.resize(next_number_);
  for (const Endpoint& endpoint : added)
    for (const Config::Endpoint& wanted : next.listen)
      if (wanted.address == endpoint.configured) with_pools.pools[endpoint.number] = &table_.name_pool(wanted.pool);
  context_.set(std::move(with_pools));
  try {
    for (const Endpoint& endpoint : added) engine_->listen(endpoint.listener, endpoint.number);
  } catch (...) {
    for (const Endpoint& endpoint : added) endpoint.listener->close_listening();
    throw;
  }
}

void ClientSide::tell_listeners() {
  std::vector<ListenerStatus> all;
  for (const Endpoint& endpoint : endpoints_) all.push_back({endpoint.listener->address(), endpoint.pool});
  told_.set(std::move(all));
}

std::vector<Address> ClientSide::addresses() const {
  std::vector<Address> all;
  for (const Endpoint& endpoint : endpoints_) all.push_back(endpoint.listener->address());
  return all;
}

std::vector<int> ClientSide::descriptors() const {
  std::vector<int> all;
  for (const Endpoint& endpoint : endpoints_) {
    const std::vector<int> its = endpoint.listener->descriptors();
    all.insert(all.end(), its.begin(), its.end());
  }
  return all;
}

void ClientSide::release(TimePoint deadline) {
  engine_->release();
  if (!wait_until([this] { return !engine_->accepts(); }, deadline)) return;
  engine_->drop_listeners();
  endpoints_.clear();
}

std::vector<Address> ClientSide::kept_addresses() const {
  std::vector<Address> kept;
  for (const Endpoint& endpoint : endpoints_)
    if (endpoint.listener->kept()) kept.push_back(endpoint.listener->address());
  return kept;
}

void ClientSide::own_listeners_but(const std::vector<Address>& kept) const {
  for (const Endpoint& endpoint : endpoints_)
    endpoint.listener->set_kept(std::find(kept.begin(), kept.end(), endpoint.listener->address()) != kept.end());
}

void ClientSide::stop() {
  if (!engine_) return;
  engine_->stop();
  engine_->cut();
  engine_.reset();
}

}  // namespace farol::proxy
