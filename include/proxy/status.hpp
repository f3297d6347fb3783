#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/histogram.hpp"
#include "proxy/monitoring_status.hpp"

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

/// What makes a back-end leave that is still here for its connections.
enum class Departure {
  goodbye,        ///< its agent deregistered
  elsewhere,      ///< its agent stands for another address, port or pool now
  configuration,  ///< it is not configured any more, or another is in its place
};

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
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of connections that have ended: from clients, to clients
  std::uint64_t probes_sent = 0, probes_answered = 0, probes_lost = 0;
  Duration ejected_for{};               ///< how much longer; zero when not ejected
  AdminState ordered = AdminState::ready;  ///< by the operator
  bool leaving = false;                 ///< for good, with its last connection
  Departure departure = Departure::goodbye;  ///< why, if it is
  bool pool_served = true;              ///< a listener sends clients to its pool
  bool agent_silent = false;
  bool service_failed = false;          ///< the last check of it was refused or not answered
  bool service_unanswered = false;      ///< of these: not answered
  bool backup = false;
  double weight = 1;
  std::optional<double> slow_start;     ///< the share of its share that it gets so far, if less than all
  Address agent;                        ///< where it is reached; unspecified without one
  std::optional<Duration> register_age;  ///< since its last Register, if one was heard since it is known
  bool listening = true;                ///< by the agent's word something listens on the service's port
  std::uint64_t conflicts = 0;          ///< times a second live agent claimed this identity
};

struct Counter {
  std::string reason;
  std::uint64_t count = 0;
  std::optional<Duration> last_age{};  ///< since it last rose, where that is kept
};

/// What is told of a pool as a whole: its counters stay when a back-end leaves.
struct PoolStatus {
  std::string name, policy;
  std::size_t waiting = 0;  ///< clients, for a back-end
  std::vector<Counter> decisions;  ///< by reason
  std::uint64_t connect_failures = 0, probes_lost = 0;
  HistogramCounts connect_time, session_time, first_byte, probe_rtt;
};

struct ListenerStatus {
  Address address;
  std::string pool;
};

struct ProxyStatus {
  std::chrono::system_clock::time_point started{};
  Duration uptime{};
  std::string engine, policy;
  std::size_t connections_active = 0;
  std::size_t connections_waiting = 0;      ///< of these: for a back-end
  std::size_t connections_most = 0;         ///< that may be served at once
  std::uint64_t connections_total = 0;
  std::vector<Counter> rejected;            ///< clients closed without a back-end, by reason
  std::vector<Counter> ended;               ///< sessions, by cause (kCauses)
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< from clients, to clients
  std::vector<Counter> dropped_packets;     ///< monitoring datagrams not taken, by reason
  MonitoringStatus monitoring;
  std::size_t queue_most = 0;               ///< that may wait at once, in each pool
  std::size_t threads_most = 0;             ///< that this process may have
  std::size_t descriptors_most = 0;         ///< likewise
  std::size_t connections_fit = 0;          ///< that these limits carry
  std::string bound_by;                     ///< the limit that keeps it from being more
  std::uint64_t log_lines_dropped = 0;
  bool ready = false;                       ///< a back-end of a listener's pool can be chosen
  bool draining = false;                    ///< the proxy itself is stopping
  std::uint64_t reloads_done = 0, reloads_failed = 0;  ///< of its configuration
  std::vector<ListenerStatus> listeners;
  std::vector<PoolStatus> pools;
  std::vector<BackendStatus> backends;
};

const char* to_string(Source source);
const char* to_string(State state);
const char* to_string(AdminState state);
const char* to_string(Departure departure);

}  // namespace farol::proxy
