#pragma once

#include <list>
#include <memory>
#include <optional>

#include "common/engine.hpp"
#include "common/heartbeats.hpp"
#include "common/limits.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"
#include "common/privileges.hpp"
#include "common/service_manager.hpp"
#include "http/server.hpp"
#include "monitoring/key_ring.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/admin.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/config.hpp"
#include "proxy/counters.hpp"
#include "proxy/membership.hpp"
#include "proxy/monitoring_service.hpp"
#include "proxy/pool_memory.hpp"
#include "proxy/session.hpp"

namespace farol::proxy {

/// The whole proxy, put together: main makes one, waits for signals, and lets it go. The members stand in the order in
/// which they lean on each other, so their destructors undo the start in reverse.
class Server final : public ProxyView {
 public:
  /// Binds everything, then starts the threads. Throws StartError or UsageError before anything is left running.
  Server(const Config& config, const Logger& log);
  ~Server() override;

  /// No new connections; the monitoring goes on, for the sessions that still choose.
  void stop_accepting();
  [[nodiscard]] std::size_t active() const { return relays_->active(); }
  /// Cuts what is left and says goodbye to the agents.
  void finish();

  [[nodiscard]] ProxyStatus status() const override;
  [[nodiscard]] std::vector<Decision> decisions() const override;
  Change set_state(const std::string& backend, AdminState state) override;

 private:
  void give_up_privileges();
  void add_configured_backends();
  void start_relays();
  void start_admin();
  void log_start() const;
  [[nodiscard]] std::string status_line() const;

  const Config& config_;
  const Logger& log_;
  const TimePoint started_;
  const std::optional<Account> account_;  ///< whom to become
  const monitoring::KeyRing keys_;
  Heartbeats heartbeats_{watchdog_patience()};
  Counters counters_;
  mutable BackendTable table_;
  std::optional<SourceLimit> sources_;
  std::list<Listener> listeners_;
  std::unique_ptr<monitoring::MonitoringSocket> monitoring_socket_;
  std::optional<Listener> admin_listener_;
  const ProcessLimits limits_;  ///< raised while this was root's
  SessionContext sessions_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<MonitoringService> monitoring_;
  std::optional<PoolMemory> memory_;
  std::unique_ptr<Engine> relays_;
  std::optional<Admin> admin_;
  http::Responder respond_;
  std::unique_ptr<Engine> admin_server_;
  std::atomic<bool> draining_{false};
  std::optional<ServiceReporter> reporter_;
};

}  // namespace farol::proxy
