#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/engine.hpp"
#include "common/heartbeats.hpp"
#include "common/limits.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"
#include "common/snapshot.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/config.hpp"
#include "proxy/counters.hpp"
#include "proxy/session.hpp"
#include "proxy/source_limit.hpp"

namespace farol::proxy {

/// What clients meet: the listeners, the engine behind them, and what its sessions go by. Owned by the server and used by
/// main's thread, but for the engine; borrows table, counters and log.
class ClientSide {
 public:
  /// Binds the listeners, or takes those that are there already. Throws StartError.
  ClientSide(const Config& config, InheritedSockets& inherited, BackendTable& table, Counters& counters,
             const Logger& log);
  ~ClientSide() { stop(); }
  ClientSide(const ClientSide&) = delete;
  ClientSide& operator=(const ClientSide&) = delete;

  /// Lets another user's sockets share the listeners' addresses: the user whom this process is about to become.
  void give_to(uid_t user) const;
  /// Accepts from here on. Throws StartError or std::system_error.
  void start(const Config& config, const ProcessLimits& limits, Heartbeats& heartbeats);
  /// New connections go by this configuration; those that live keep theirs. A listener that is not in it is closed. Throws
  /// StartError when one that is new cannot be opened: then nothing has changed. After start().
  void change(const Config& next);
  /// Accepts nobody any more, for another process does; returns when it is so.
  void release(TimePoint deadline);
  /// Another process has let go of the listeners: they are this one's, but for those of these addresses.
  void own_listeners_but(const std::vector<Address>& kept) const;
  /// Of those that another process accepts on, now or later.
  [[nodiscard]] std::vector<Address> kept_addresses() const;
  /// Cuts what lives and ends every thread.
  void stop();

  /// After start(). Any thread.
  [[nodiscard]] Engine& engine() const { return *engine_; }
  /// What the limits of the process carry. Likewise.
  [[nodiscard]] const Capacity& fit() const { return *fit_; }
  /// Where it really listens.
  [[nodiscard]] std::vector<Address> addresses() const;
  /// The same with the pool of each. Any thread.
  [[nodiscard]] std::vector<ListenerStatus> listeners() const { return *told_.get(); }
  /// Of its listeners, to be handed on.
  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  struct Endpoint {
    Address configured;
    std::string pool;
    std::uint32_t number = 0;  ///< of the listener, for the engine and the sessions' context
    std::shared_ptr<const Listener> listener;
  };

  [[nodiscard]] Endpoint open(const Config::Endpoint& wanted, const Config& config,
                              InheritedSockets* inherited = nullptr);
  [[nodiscard]] Endpoint open_beside_others(const Config::Endpoint& wanted, const Config& config);
  [[nodiscard]] Endpoint* find(const Address& configured);
  void tell_listeners();
  [[nodiscard]] SessionContext context(const Config& config, std::vector<Pool*> pools);
  void listen_also(std::vector<Endpoint>& added, const Config& next);
  [[nodiscard]] std::size_t most_connections(const Config& config) const;

  BackendTable& table_;
  Counters& counters_;
  const Logger& log_;
  SourceLimit sources_;
  std::vector<Endpoint> endpoints_;
  std::uint32_t next_number_ = 0;
  Snapshot<SessionContext> context_;
  Snapshot<std::vector<ListenerStatus>> told_{{}};
  std::optional<Capacity> fit_;  ///< what the limits of the process allow
  std::unique_ptr<Engine> engine_;
};

}  // namespace farol::proxy
