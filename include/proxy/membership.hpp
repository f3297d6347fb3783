#pragma once

#include <optional>
#include <vector>

#include "common/address.hpp"
#include "common/log.hpp"
#include "common/snapshot.hpp"
#include "monitoring/monitoring_socket.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/challenge.hpp"
#include "proxy/counters.hpp"
#include "proxy/notices.hpp"
#include "proxy/strangers.hpp"

namespace farol::proxy {

/// Who may be in the table: the rules for every packet an agent can send (docs/PROTOCOL.md, "The proxy's duties").
/// A Register is a hint and buys one probe; only the answer to a probe, with the right nonce from the right source,
/// changes the table. No sockets and no clock in here. Called by the receiver thread alone, but where it is said; borrows
/// table, counters and log.
class Membership {
 public:
  struct Options {
    MonitoringConfig timers;
    std::vector<Cidr> allow;          ///< sources that may register; empty: everyone (only with a key)
    std::vector<Address> listeners;   ///< the proxy's own: never a back-end, that would be a loop
  };

  Membership(BackendTable& table, Options options, Counters& counters, const Logger& log);
  /// Other rules from now on; who is in stays in. Any thread.
  void change_rules(Options options) { options_.set(std::move(options)); }

  /// Applies one packet; the result, if any, is to be sent back.
  std::optional<monitoring::Envelope> handle(const monitoring::Envelope& received, TimePoint now);
  /// The probe that makes an agent prove itself, unless it may not register. Nothing is remembered. Any thread.
  [[nodiscard]] std::optional<monitoring::Envelope> challenge(const AgentPath& agent, TimePoint now) const;
  /// Counts a datagram that was no packet, or a packet that was not taken; logs at most one a second.
  void drop(monitoring::DropReason reason, const Address& peer, TimePoint now);
  /// What is told of datagrams that led to nothing, and who may register. Any thread.
  void fill(MonitoringStatus& status, TimePoint now) const;

 private:
  using Access = BackendTable::Access;
  using Verdict = std::optional<monitoring::DropReason>;  ///< empty: taken

  std::optional<monitoring::Envelope> on_register(const monitoring::Envelope& from, const monitoring::Register& packet,
                                                  TimePoint now);
  Verdict on_response(const monitoring::Envelope& from, const monitoring::ProbeResponse& packet, TimePoint now);
  Verdict on_deregister(const monitoring::Envelope& from, const monitoring::Deregister& packet, TimePoint now);
  Verdict validated(const Access& rows, const monitoring::Envelope& from, const monitoring::ProbeResponse& packet,
                    TimePoint now, Notices& notices);
  Verdict known_identity(const Access& rows, Backend& incumbent, const AgentPath& path,
                         const monitoring::ProbeResponse& packet, TimePoint now, Notices& notices);
  void admit(const Access& rows, Backend& backend, const AgentPath& path, const monitoring::ProbeResponse& packet,
             TimePoint now) const;
  [[nodiscard]] bool allowed(const Address& peer) const;
  [[nodiscard]] bool is_loop(const Address& service) const;

  BackendTable& table_;
  Snapshot<Options> options_;
  Counters& counters_;
  Strangers strangers_;
  const Logger& log_;
  const Challenge challenge_;
  RateLimit drop_log_{std::chrono::seconds(1)};
};

}  // namespace farol::proxy
