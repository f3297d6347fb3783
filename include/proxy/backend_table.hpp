#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "proxy/backend.hpp"
#include "proxy/connection_meter.hpp"
#include "proxy/pool.hpp"
#include "proxy/proxy_view.hpp"
#include "proxy/schedule.hpp"

namespace farol::proxy {

class Lease;

/// The report's EstadoGlobalServidores: the state of every back-end, shared by the monitoring threads, which write it,
/// and the sessions, which choose from it. One mutex guards all rows and their indexes; whoever changes a row refreshes
/// it, which publishes its standing to its pool. Choosing takes the pool's own lock alone, so it waits neither for
/// monitoring nor for the admin API. No system call, log line or callback happens under either (but for ringing the
/// timer's bell). Owned by main, outlives every thread. Any thread may call.
class BackendTable {
 public:
  struct Options {
    WeightedConfig weighted;
    Policy policy = Policy::weighted;
    std::map<std::string, Policy> pool_policies;  ///< exceptions, by pool name
    std::set<std::string> served{std::string(monitoring::kDefaultPool)};  ///< the pools of the listeners
    std::size_t max_backends = 16384;
    std::uint32_t max_connections = 0;  ///< of each back-end that is not told its own; 0: no limit
    bool require_agent = false;  ///< a silent agent's back-end is down, whatever its service says
  };

  explicit BackendTable(Options options);
  /// Other rules from now on, for as many back-ends as before and with what is known of them.
  void change_rules(Options options, TimePoint now);
  ~BackendTable();
  BackendTable(const BackendTable&) = delete;
  BackendTable& operator=(const BackendTable&) = delete;

  /// Makes a pool known by name, so that agents, which say only its id, are shown with it. It stays for good.
  Pool& name_pool(const std::string& name);

  std::optional<Lease> acquire(Pool& pool, const Request& request);  ///< for one connection; or nothing
  /// Somebody in a listener's pool may get connections, be it full at the moment; a last resort does not count.
  [[nodiscard]] bool ready(TimePoint now);
  [[nodiscard]] std::size_t waiting();  ///< clients, for a back-end, in all pools
  [[nodiscard]] std::vector<BackendStatus> status(TimePoint now);
  [[nodiscard]] std::vector<PoolStatus> pools();
  [[nodiscard]] std::vector<Decision> decisions();  ///< that are kept of every pool, the newest first
  ProxyView::Change set_state(const std::string& backend, AdminState state, TimePoint now,
                              std::optional<Duration> close_over = {});
  using Orders = std::map<BackendKey, AdminState>;
  /// The operator's that hold, also for back-ends that are not there; an earlier life's come before there are any.
  [[nodiscard]] Orders orders();
  void take_orders(Orders orders);
  /// Brings up to date what changes by itself: to be called once in kTick.
  void tick(TimePoint now);
  /// The same for the pools that have not been looked at lately: a pool without connections is in no hurry.
  void tick_if_due(TimePoint now);

  class Access;
  /// The lock and the rows under it, for the monitoring rules. Keep it short.
  Access access();

  /// Changes whenever an agent joins, moves or leaves.
  [[nodiscard]] std::uint64_t membership_version() const { return membership_version_; }
  /// Rings when a probe became due earlier than the timer thought.
  [[nodiscard]] Bell& probe_bell() { return probe_bell_; }

 private:
  friend class Lease;
  using Rows = std::map<std::uint64_t, std::unique_ptr<Backend>>;

  Pool& pool(std::uint32_t id, const std::string& name) REQUIRES(mutex_);
  [[nodiscard]] Policy policy_of(const std::string& pool) const REQUIRES(mutex_);
  void refresh(Backend& backend, TimePoint now) REQUIRES(mutex_);
  void refresh_all(Pool& pool, TimePoint now) REQUIRES(mutex_);
  void publish(Backend& backend, Pool& pool, TimePoint now) REQUIRES(mutex_);
  void connect_failed(Backend& backend, TimePoint now);
  void closed_early(Backend& backend, TimePoint now);

  Bell probe_bell_;
  std::atomic<std::uint64_t> membership_version_{0};

  Mutex mutex_;  ///< before a pool's own
  Options options_ GUARDED_BY(mutex_);
  Rows rows_ GUARDED_BY(mutex_);
  std::unordered_map<Address, Backend*> by_peer_ GUARDED_BY(mutex_);
  std::map<BackendKey, Backend*> by_key_ GUARDED_BY(mutex_);
  std::map<std::uint32_t, Pool> pools_ GUARDED_BY(mutex_);
  Schedule probes_ GUARDED_BY(mutex_){&Backend::next_probe}, looks_ GUARDED_BY(mutex_){&Backend::next_look};
  std::uint64_t next_id_ GUARDED_BY(mutex_) = 1;
  Orders orders_ GUARDED_BY(mutex_);  ///< but for those to be ready
};

/// The central word of the report, see docs/GLOSSARY.md.
using EstadoGlobalServidores = BackendTable;

/// One connection's claim on a back-end, counted from the choice to the end. Gives the count back when it goes, and the
/// room to who waits for it. Used by one session; borrows the table and the pool, which is one that clients are sent to
/// and so stays for good. To be moved only before the meter is in use.
class Lease {
 public:
  Lease(BackendTable& table, const Choice& choice, TimePoint now);
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (!meter_.counts()) return;
    Pool& pool = *backend_->pool;
    meter_.end();
    if (pool.waiting() > 0) pool.serve(Clock::now());
  }

  [[nodiscard]] const Address& address() const { return backend_->key.address; }
  [[nodiscard]] std::uint64_t id() const { return backend_->id; }

  /// The connect failed: counted, and the back-end is ejected for a while.
  void connect_failed(TimePoint now) const { table_->connect_failed(*backend_, now); }
  /// The back-end accepted the connection and ended it before its first byte.
  void closed_early(TimePoint now) const { table_->closed_early(*backend_, now); }
  /// The connection stands, or has ended after having carried so much. Counted.
  void connected(TimePoint now);
  void ended(std::uint64_t bytes_in, std::uint64_t bytes_out, Duration session) const;
  /// For the relays.
  [[nodiscard]] ConnectionMeter& meter() { return meter_; }
  [[nodiscard]] const ConnectionMeter& meter() const { return meter_; }

 private:
  BackendTable* table_;
  Backend* backend_;
  ConnectionMeter meter_;

 public:
  double score;
  double runner_up;  ///< kNotNow: there was no other
};

}  // namespace farol::proxy
