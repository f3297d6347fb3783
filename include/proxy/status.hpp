#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"

namespace farol::proxy {

/// What the operator sees of the proxy: plain values, taken at one moment, for the admin API and for tests.

enum class Source { agent, configured };

/// Who decides when they disagree: the operator, then failed connections, then the agent, then what is assumed.
enum class State {
  new_,     ///< configured, not yet checked
  up,       ///< reports (or, without an agent, accepts connections)
  stale,    ///< the agent is silent, the service accepts connections: keeps traffic at a neutral score
  down,     ///< the service refuses or does not answer, or its agent is silent and required
  ejected,  ///< a connection failed a moment ago; comes back by itself
  drain,    ///< no new connections (operator, agent, or an agent that deregistered)
  maint,    ///< out of service by the operator
};

/// What the operator ordered. `ready` undoes the others.
enum class AdminState { ready, drain, maint };

/// The weighted parts of a score; they sum to `sum`. `doubt` makes up for what an agent says too good to be believed
/// (`weighted` only).
struct ScoreComponents {
  double rtt = 0, tcp = 0, loss = 0, cpu = 0, memory = 0, doubt = 0;
  [[nodiscard]] double sum() const { return rtt + tcp + loss + cpu + memory + doubt; }
};

struct BackendStatus {
  Address address;
  std::string pool;
  Source source = Source::agent;
  State state = State::new_;
  std::optional<double> score;  ///< none without a report
  ScoreComponents components;
  std::optional<double> rtt_sample_ms, rtt_estimated_ms;
  double loss = 0;                      ///< share of the last 20 probes, 0 to 1
  std::optional<std::uint32_t> tcp;     ///< established connections of the machine
  std::optional<std::uint32_t> tcp_service;
  std::optional<double> cpu, memory;    ///< shares, 0 to 1
  std::optional<Duration> report_age;
  std::size_t connections_active = 0;
  std::size_t connections_most = 0;     ///< that it may have at once; 0: no limit
  std::uint64_t connections_total = 0, connections_failed = 0;
  Duration ejected_for{};               ///< how much longer; zero when not ejected
  std::uint64_t conflicts = 0;          ///< times a second live agent claimed this identity
};

struct Counter {
  std::string reason;
  std::uint64_t count = 0;
};

struct ProxyStatus {
  Duration uptime{};
  std::string engine, policy;
  std::size_t connections_active = 0;
  std::size_t connections_waiting = 0;      ///< of these: for a back-end
  std::size_t connections_most = 0;         ///< that may be served at once
  std::uint64_t connections_total = 0;
  std::vector<Counter> rejected;            ///< clients closed without a back-end, by reason
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< from clients, to clients
  std::vector<Counter> dropped_packets;     ///< monitoring datagrams not taken, by reason
  bool ready = false;                       ///< a back-end can be chosen
  bool draining = false;                    ///< the proxy itself is stopping
  std::vector<BackendStatus> backends;
};

const char* to_string(Source source);
const char* to_string(State state);

struct Decision;

/// What the admin API asks of the proxy. Implemented in main over the table and the engine; any thread.
class ProxyView {
 public:
  virtual ~ProxyView() = default;
  [[nodiscard]] virtual ProxyStatus status() const = 0;
  /// Choices of late, the newest first.
  [[nodiscard]] virtual std::vector<Decision> decisions() const = 0;
  enum class Change { done, unknown_backend, ambiguous };
  /// `backend` is "address:port" with "/pool" behind it where that is not unique.
  virtual Change set_state(const std::string& backend, AdminState state) = 0;
};

}  // namespace farol::proxy
