#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/io.hpp"
#include "common/log.hpp"
#include "common/snapshot.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/counters.hpp"
#include "proxy/link.hpp"
#include "proxy/relay.hpp"
#include "proxy/source_limit.hpp"

namespace farol::proxy {

/// How often a client whose back-end fails is tried with another one.
struct Retries {
  int most = 0;            ///< further attempts, whatever they take
  Duration more_within{};  ///< still more, while no longer than this has gone by since the first began

  /// Whether there may be another one after so many.
  [[nodiscard]] bool allow(int attempts, Duration since_first) const {
    return attempts <= most || (attempts <= kAtMost && since_first < more_within);
  }
  static constexpr int kAtMost = 64;  ///< a refusal may cost no time, but to look for the next one costs the others some
};

/// What a session goes by: it keeps the one that held when its client was accepted. What it refers to outlives it.
struct SessionContext {
  BackendTable& table;
  Counters& counters;
  const Logger& log;
  std::vector<Pool*> pools;  ///< of each listener, by its index
  Duration connect_timeout{};
  Retries retries;
  Link::Limits limits;
  struct Queue {
    Duration timeout{};    ///< of all waits of one client; zero: nobody waits
    std::size_t most = 0;  ///< waiting at once, in each pool
  };
  Queue queue;  ///< of clients for whom there is no back-end
  SourceLimit* sources = nullptr;  ///< none: each may have as many connections as it likes
};

using ContextPointer = Snapshot<SessionContext>::Pointer;

/// A client, and what its session goes by.
struct Served : Accepted {
  ContextPointer context;
};

/// One client connection from accept to close (the report's TrataClienteTCP): choose a back-end, connect, relay both
/// ways, account, log. Lives in its coroutine's frame.
class Session final : private Relayed {
 public:
  static Task<> serve(Io& io, Served client);

 private:
  /// Why a client was not served.
  enum class Refusal : std::uint8_t;

  /// `client` lives as long as the session.
  Session(Io& io, Served& client);

  [[nodiscard]] const SessionContext& context() const { return *client_.context; }

  /// Without a lease afterwards no back-end was reached.
  Task<> connect(Io& io, Supervision& supervision);
  /// Waits until somebody may be chosen, and takes the lease; refuses the client when it waited in vain.
  Task<> queue(Io& io, Supervision& supervision, const Request& request, TimePoint deadline,
               std::optional<Lease>& lease);
  [[nodiscard]] static Refusal refusal_of(ConnectResult failed);
  Task<> relay_ended(Io& io, const Flow& flow) override;
  Task<> end_client(Io& io);
  Task<> reset_server(Io& io);
  void judge_server() const;
  [[nodiscard]] bool must_settle() const;
  Task<> delivered(Io& io, Channel& channel, TimePoint deadline);
  void account() const;
  void log_end() const;
  void log_candidates(const std::vector<Explained>& candidates) const;
  [[nodiscard]] std::string_view cause() const;

  const Served& client_;  ///< without its socket
  const TimePoint started_;
  std::optional<Lease> lease_;  ///< once a back-end was reached
  int retries_ = 0;
  std::optional<Refusal> refused_;  ///< as long as no back-end is reached, or when no thread can relay
  Flow in_{Link::Side::client}, out_{Link::Side::server};
};

/// The engine's handler: a Session as a coroutine, for a client whose source has not too many already.
Task<> serve_client(Io& io, Accepted client, ContextPointer context);

}  // namespace farol::proxy
