#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "monitoring/packet.hpp"
#include "proxy/backend_types.hpp"
#include "proxy/estimates.hpp"
#include "proxy/pool.hpp"
#include "proxy/status.hpp"

namespace farol::proxy {

/// One row of the table: everything the proxy knows of one back-end, and the rules that change it. No locks, sockets or
/// clocks in here: the table's mutex guards every row, and `now` is always an argument.
class Backend {
 public:
  Backend(std::uint64_t id, BackendKey key, std::string pool_name, Source source, const WeightedConfig& config);

  // Constant after construction.
  const std::uint64_t id;
  const BackendKey key;
  const Source source;
  std::string pool_name;  ///< changed only when the pool is given its name
  Pool* pool = nullptr;  ///< set by Pool::add()

  // As configured, set before it is first refreshed.
  double weight = 1;
  bool backup = false, require_agent = false;
  std::uint32_t max_connections = 0;  ///< ours at once; 0: no limit

  [[nodiscard]] State state(TimePoint now) const;
  /// When it may get a connection. `report` leaves out the silent and has no last resort: who looks dead, unforbidden.
  [[nodiscard]] Tier tier(TimePoint now, Policy policy) const;
  /// All but what its pool says: the score, and how often it was chosen.
  [[nodiscard]] BackendStatus status(TimePoint now) const;
  [[nodiscard]] std::string name() const { return key.address.text(); }  ///< "10.1.1.1:80", for logs

  // --- The agent: what it says and how it is asked.
  struct AgentInfo {
    AgentPath path;
    std::uint64_t boot_id = 0;
    Duration register_interval{};
    std::optional<TimePoint> last_register;  ///< heard since it is known here
    TimePoint last_packet{};  ///< or the end of our own sleep, where that was later
    bool packet_since_check = false;  ///< since the last agent-alive check
    bool silent = false, listening = true;
    bool draining = false;  ///< by its own operator
    bool leaving = false;   ///< it gets nothing more and goes with its last connection
    Departure departure = Departure::goodbye;  ///< why, if it does
  };
  AgentInfo agent;
  std::optional<Contender> contender;
  std::uint64_t conflicts = 0;

  /// Starts a new life of the agent at `path`: outstanding probes are void, loss and RTT start anew.
  void adopt(const AgentPath& path, std::uint64_t boot_id, TimePoint now);
  /// Notes a packet of the agent: it is alive. Not `in_time`: a late answer, which does not end a row of lost probes.
  void heard(TimePoint now, bool in_time = true);

  /// The next probe, remembered as outstanding from `now`. A row of a table is asked by Access::make_probe().
  monitoring::ProbeRequest make_probe(std::uint64_t nonce, TimePoint now, Duration timeout);

  enum class Answer { taken, late, wrong_nonce };
  /// Takes a response to an outstanding probe. `arrival` is the kernel's time stamp. A late one is left to
  /// expire_probes(), which knows whether it is a loss; it is late only once, copies have a wrong nonce.
  Answer take_response(const monitoring::ProbeResponse& response, TimePoint arrival, Duration timeout);
  /// Probes without an answer for `timeout`: counted as lost, or only forgotten when this process was itself asleep.
  struct Expired {
    int lost = 0;
    bool contender_won = false;
    bool ask_again = false;  ///< at once: chance loses one or two in a row, and nobody is to look silent by chance
  };
  Expired expire_probes(TimePoint now, Duration timeout, bool we_slept);
  [[nodiscard]] bool has_outstanding() const { return !outstanding_.empty(); }
  [[nodiscard]] bool is_outstanding(std::uint32_t sequence, std::uint64_t nonce) const;
  /// True for the nonce of the last or the previous probe (Deregister).
  [[nodiscard]] bool recent_nonce(std::uint64_t nonce) const;
  [[nodiscard]] std::uint32_t last_sequence() const { return next_sequence_ - 1; }

  /// No packet since the last agent-alive check, but so few probes lost since the last packet that it may be chance.
  [[nodiscard]] bool in_doubt() const;
  /// The agent-alive check: no packet since the last one makes it silent. True when that changed.
  bool check_alive();
  /// It has left, or its agent sent no packet for so long, that the row may go.
  [[nodiscard]] bool forgotten(TimePoint now, const MonitoringConfig& config) const;
  [[nodiscard]] TimePoint forgotten_at(const MonitoringConfig& config) const;
  /// Before this moment the alarms have nothing to do here, but for forgetting it. What brings it forward is to be
  /// told to the table, by refresh() or look_by(); what puts it off is found out by looking.
  [[nodiscard]] TimePoint next_alarm() const;

  // --- The service: what connects say.
  enum class Check { unknown, accepted, refused };  ///< refused: or not answered
  Check check = Check::unknown;
  bool check_running = false, check_unanswered = false;
  TimePoint next_check = TimePoint::max(), next_alive_check = TimePoint::max();
  TimePoint next_probe = TimePoint::max(), next_look = TimePoint::max();  ///< the table's schedules'

  /// A static, silent, failing or not listening back-end is judged by TCP connects.
  [[nodiscard]] bool needs_check(TimePoint now) const;
  void take_check(bool accepted, TimePoint now, const MonitoringConfig& config);
  void connect_failed(TimePoint now, bool may_eject);
  /// It accepted a connection and closed it before its first byte.
  void closed_early(TimePoint now) { estimates_.connection_failed(now); }
  [[nodiscard]] bool is_ejected(TimePoint now) const { return ejected_until_ > now; }

  // --- Load and choice.
  AdminState admin = AdminState::ready;
  std::uint64_t connections_failed = 0, probes_answered = 0, probes_lost = 0;
  BackendSignals signals;

  /// Takes what relays counted since the last call, `ticks` ago.
  void take_signals(double ticks, TimePoint now);
  /// Notes whether it may get connections. Who is let in again starts slowly, if there are others to compare with.
  void enter(bool eligible, bool pool_settled, TimePoint now);
  [[nodiscard]] bool entered_before(TimePoint when) const { return entered_ && entered_at_ <= when; }
  [[nodiscard]] LoadView load_view(TimePoint now) const;
  [[nodiscard]] const Estimates& estimates() const { return estimates_; }
  void take_load(const monitoring::ProbeResponse& response, TimePoint now);

 private:
  [[nodiscard]] bool judged_by_check() const;
  void start_judging();
  [[nodiscard]] bool permitted() const;
  [[nodiscard]] bool asked_again() const;
  [[nodiscard]] double ramp(TimePoint now) const;
  /// Notes an answer to one of the last two probes; false when it is none of them, or has been answered.
  bool first_answer(const monitoring::ProbeResponse& response);

  std::vector<OutstandingProbe> outstanding_;
  std::uint32_t next_sequence_ = 1;  ///< 0 is a challenge's
  std::array<RecentProbe, 2> recent_{};   ///< the newest first
  int lost_in_row_ = 0;              ///< probes, since the last packet in time
  int lost_unheard_ = 0;             ///< since the last packet of any kind

  const WeightedConfig& config_;
  Estimates estimates_;
  int connect_failures_ = 0;  ///< without a first byte in between, at most 5
  TimePoint ejected_until_{}, entered_at_{};
  bool failing_ = false;  ///< a connect failed, ours or a check, and no check has succeeded since
  bool entered_ = false, ramps_ = false;  ///< may get connections; and starts slowly
  bool unanswered_once_ = false;          ///< the last check, of one that was well
};

}  // namespace farol::proxy
