#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "common/engine.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"
#include "gateway/admin.hpp"
#include "gateway/config.hpp"
#include "gateway/demultiplexer.hpp"
#include "gateway/feed.hpp"
#include "gateway/handler.hpp"
#include "gateway/media_types.hpp"
#include "gateway/meters.hpp"
#include "http/crowd.hpp"
#include "http/status_counts.hpp"

namespace farol::gateway {

/// The whole gateway, put together: main makes one, waits for signals, and lets it go. The members stand in the order in
/// which they lean on each other, so their destructors undo the start in reverse.
class GatewayServer final : public GatewayView {
 public:
  /// Binds everything, then starts the threads. Throws StartError before anything is left running.
  GatewayServer(const Config& config, const Logger& log);
  ~GatewayServer() override { finish(); }
  GatewayServer(const GatewayServer&) = delete;
  GatewayServer& operator=(const GatewayServer&) = delete;

  /// No new connections; those that are idle end, the others with their present response.
  void stop_accepting();
  [[nodiscard]] Duration drain_timeout() const { return config_.drain_timeout; }
  [[nodiscard]] std::size_t active() const { return clients_->active(); }
  /// Where it listens, with the port that the kernel chose where it was asked to.
  [[nodiscard]] const Address& address() const { return listener_->address(); }
  [[nodiscard]] GatewayStatus status() const override;
  /// Ends what is left and says goodbye to the servers.
  void finish();

 private:
  Task<> serve(Io& io, Accepted client);
  void start_clients();
  void start_admin();
  void log_start() const;

  const Config& config_;
  const Logger& log_;
  const std::chrono::system_clock::time_point started_on_ = std::chrono::system_clock::now();
  const TimePoint started_ = Clock::now();
  const MediaTypes types_;
  Meters meters_;
  http::StatusCounts answers_;
  const std::shared_ptr<const Listener> listener_;
  std::shared_ptr<const Listener> admin_listener_;
  std::unique_ptr<Demultiplexer> demultiplexer_;
  std::unique_ptr<Handler> handler_;
  std::atomic<bool> draining_{false};
  std::unique_ptr<Engine> clients_;
  http::Crowd admin_crowd_;
  std::optional<GatewayFeed> feed_;
  std::optional<dashboard::Dashboard> dashboard_;
  std::optional<Admin> admin_;
  http::Responder admin_responder_;
  std::unique_ptr<Engine> admin_server_;
};

}  // namespace farol::gateway
