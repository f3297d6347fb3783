#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "common/engine.hpp"
#include "common/handover.hpp"
#include "common/heartbeats.hpp"
#include "common/limits.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"
#include "common/outcomes.hpp"
#include "common/privileges.hpp"
#include "common/service_manager.hpp"
#include "common/snapshot.hpp"
#include "dashboard/dashboard.hpp"
#include "http/crowd.hpp"
#include "http/server.hpp"
#include "monitoring/key_ring.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/admin.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/client_side.hpp"
#include "proxy/config.hpp"
#include "proxy/counters.hpp"
#include "proxy/feed.hpp"
#include "proxy/handover_notes.hpp"
#include "proxy/membership.hpp"
#include "proxy/monitoring_service.hpp"
#include "proxy/pool_memory.hpp"

namespace farol::proxy {

/// The whole proxy, put together: main makes one, waits for signals, and lets it go. The members stand in the order in
/// which they lean on each other, so their destructors undo the start in reverse.
class Server final : public ProxyView {
 public:
  /// What the life before has left.
  struct Inheritance {
    InheritedSockets sockets;
    HandoverNotes notes;
  };
  /// Binds everything that it has not inherited and monitors the back-ends. Throws StartError or UsageError before anything
  /// is left running.
  Server(Config config, Inheritance inheritance, const Logger& log);
  ~Server() override;

  /// Goes over to another configuration: all of it, or, when it throws UsageError or StartError, nothing. Connections,
  /// counters and what is known of the back-ends stay; keys and the token are read anew. Main's thread.
  void reload(Config next);
  /// Counts one that was not taken.
  void reload_failed() { ++reloads_failed_; }

  /// Waits until the agents of the life before have answered, but no longer than that.
  void find_agents(TimePoint deadline) const;
  /// Serves clients from here on. Throws StartError.
  void start();
  /// The process before has let go: the sockets are this one's.
  void took_over();
  /// What another process needs in order to follow this one.
  [[nodiscard]] Legacy legacy();
  /// That process begins to: the agents' packets are for it. Off: they are not, it has failed.
  void hold_back(bool on);
  /// That process serves: lets go of the sockets and of the agents, so that every new client is the other's when this
  /// returns. Then stop_accepting().
  void handed_over();
  /// How the last try went: main's answer to upgrade().
  void upgrade_ended(UpgradeOutcome outcome) {
    upgrading_ = false;
    upgrades_.add(std::move(outcome));
  }

  /// No new connections; the monitoring goes on, for the sessions that still choose.
  void stop_accepting();
  [[nodiscard]] bool is_draining() const { return draining_; }
  [[nodiscard]] std::size_t active() const { return clients_.engine().active(); }
  /// How long those who are there may stay after that.
  [[nodiscard]] Duration drain_timeout() const { return config_.get()->drain_timeout; }
  /// Cuts what is left and says goodbye to the agents.
  void finish();

  [[nodiscard]] ProxyStatus status() const override;
  [[nodiscard]] std::vector<Decision> decisions() const override;
  Change set_state(const std::string& backend, const Order& order) override;
  UpgradeOutcome upgrade() override;

 private:
  void give_up_privileges() const;
  [[nodiscard]] Membership::Options membership_rules(const Config& config, bool keys) const;
  void start_admin();
  Task<> serve_admin(Io& io, Accepted client);
  [[nodiscard]] http::AdminAccess admin_access() const;
  void log_start() const;
  void warn_of_unserved() const;
  [[nodiscard]] std::string status_line() const;

  Snapshot<Config> config_;
  const Logger& log_;
  const TimePoint started_;
  const std::chrono::system_clock::time_point started_on_ = std::chrono::system_clock::now();
  const std::optional<Account> account_;  ///< whom to become
  const std::vector<Address> kept_by_manager_;  ///< listeners that the life before had from the service manager
  std::optional<Token> admin_token_;  ///< main's
  Heartbeats heartbeats_{watchdog_patience()};
  Counters counters_;
  mutable BackendTable table_;
  ClientSide clients_;
  std::unique_ptr<monitoring::MonitoringSocket> monitoring_socket_;
  std::shared_ptr<const Listener> admin_listener_;
  const ProcessLimits limits_;  ///< raised while this was root's
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<MonitoringService> monitoring_;
  std::optional<PoolMemory> memory_;
  std::optional<ProxyFeed> feed_;
  std::optional<dashboard::Dashboard> dashboard_;
  std::optional<Admin> admin_;
  http::Crowd admin_crowd_;
  std::unique_ptr<Engine> admin_server_;
  std::atomic<bool> draining_{false}, admin_leaves_{false};
  std::atomic<std::uint64_t> reloads_done_{0}, reloads_failed_{0};
  bool handed_over_ = false, finished_ = false;  ///< main's
  std::atomic<bool> upgrading_{false};
  Outcomes<UpgradeOutcome> upgrades_;
  std::optional<ServiceReporter> reporter_;
};

}  // namespace farol::proxy
