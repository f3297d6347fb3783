#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "common/log.hpp"
#include "common/stop_event.hpp"
#include "fileserver/config.hpp"
#include "fileserver/gateway_link.hpp"
#include "fileserver/responder.hpp"
#include "transfer/transfer_socket.hpp"

namespace farol::fileserver {

/// Carries datagrams between the socket, the link to the gateway and the responder: the one loop of FastFileSrv.
/// Owned by main; borrows all it is given. Thread safety: run() has one thread.
class Server {
 public:
  Server(const Config& config, transfer::TransferSocket& socket, FileStore& files, const Logger& log);

  /// Joins the gateway and answers it, until the stop; then says goodbye.
  void run(const StopEvent& stop);
  /// Fires when run() has ended; the system's resolver cannot be interrupted.
  [[nodiscard]] const StopEvent& finished() const { return finished_; }

 private:
  static constexpr Duration kResolveAgain = std::chrono::seconds(5);

  void find_gateway(TimePoint now);
  [[nodiscard]] TimePoint resolve_due() const;
  void wait(const StopEvent& stop, TimePoint now) const;
  void receive();
  void take(GatewayLink::Taken taken, const transfer::Arrival& arrival);
  void send_link();
  void send_answers(TimePoint now);
  bool send_rest();
  void report(const GatewayLink::Notice& notice);
  void report_refusals(TimePoint now);
  void count_drop(transfer::DropReason reason, const Address& source, TimePoint now);

  const HostPort gateway_;
  transfer::TransferSocket& socket_;
  const Logger& log_;
  GatewayLink link_;
  Responder responder_;
  std::optional<TimePoint> resolved_at_;
  std::string resolve_trouble_;  ///< as last logged
  Burst rest_;                   ///< what the kernel had no room for, of the burst before
  std::array<std::uint64_t, transfer::kDropReasons> drops_{};
  RateLimit drop_lines_{std::chrono::seconds(1)};
  RateLimit refusal_lines_{std::chrono::seconds(1)};
  StopEvent finished_;
};

}  // namespace farol::fileserver
