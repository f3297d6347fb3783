#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "proxy/backend.hpp"
#include "proxy/policy.hpp"
#include "proxy/score.hpp"

namespace farol::proxy {

class Lease;

/// The report's EstadoGlobalServidores: the state of every back-end, shared by the monitoring threads, which write it,
/// and the sessions, which choose from it. One mutex guards all rows and their indexes; choosing and counting is one
/// critical section. No system call, log line or callback happens under it (but for ringing the timer's bell).
/// Owned by main, outlives every thread. Any thread may call.
class BackendTable {
 public:
  struct Options {
    ScoreConfig score;
    Policy policy = Policy::weighted;
    std::map<std::string, Policy> pool_policies;  ///< exceptions, by pool name
    std::size_t max_backends = 16384;
  };

  explicit BackendTable(Options options);
  ~BackendTable();
  BackendTable(const BackendTable&) = delete;
  BackendTable& operator=(const BackendTable&) = delete;

  /// Makes a pool known by name, so that agents, which say only its id, are shown with it.
  void name_pool(const std::string& name);

  /// A back-end for one connection, or nothing. `tried` are ids to leave out. With `explain`, the lease also carries
  /// every candidate's figures, for the log.
  std::optional<Lease> acquire(std::uint32_t pool, std::span<const std::uint64_t> tried, TimePoint now,
                               bool explain = false);
  /// True when someone in some pool may get a connection; those that are only a last resort do not count.
  [[nodiscard]] bool ready(TimePoint now);
  [[nodiscard]] std::vector<BackendStatus> status(TimePoint now);
  ProxyView::Change set_state(const std::string& backend, AdminState state);

  class Access;
  /// The lock and the rows under it, for the monitoring rules. Keep it short.
  Access access();

  /// Rings when a probe became due earlier than the timer thought.
  [[nodiscard]] Bell& probe_bell() { return probe_bell_; }
  [[nodiscard]] const ScoreConfig& score_config() const { return options_.score; }

 private:
  friend class Lease;
  struct Pool {
    std::string name;
    Policy policy = Policy::weighted;
    std::vector<Backend*> members;
  };
  using Rows = std::map<std::uint64_t, std::unique_ptr<Backend>>;

  Pool& pool(std::uint32_t id) REQUIRES(mutex_);
  void collect(const Pool& pool, std::span<const std::uint64_t> tried, TimePoint now) REQUIRES(mutex_);
  void release(Backend& backend);
  void connect_failed(Backend& backend, TimePoint now);
  void connected(Backend& backend);

  const Options options_;
  Bell probe_bell_;

  Mutex mutex_;
  Rows rows_ GUARDED_BY(mutex_);
  std::unordered_map<Address, Backend*> by_peer_ GUARDED_BY(mutex_);
  std::map<BackendKey, Backend*> by_key_ GUARDED_BY(mutex_);
  std::map<std::uint32_t, Pool> pools_ GUARDED_BY(mutex_);
  std::set<std::pair<TimePoint, std::uint64_t>> probes_ GUARDED_BY(mutex_);  ///< (due, row): the timer's heap
  std::uint64_t next_id_ GUARDED_BY(mutex_) = 1;
  std::uint64_t choices_ GUARDED_BY(mutex_) = 0;
  std::vector<Backend*> eligible_ GUARDED_BY(mutex_);       ///< scratch of acquire()
  std::vector<Candidate> candidates_ GUARDED_BY(mutex_);  ///< beside it
};

/// The central word of the report, see docs/GLOSSARY.md.
using EstadoGlobalServidores = BackendTable;

/// What a candidate looked like when the choice was made (report figure 5.10).
struct Explained {
  Address address;
  double score = 0, rtt_ms = 0;
  std::uint32_t tcp = 0;
  int cpu = 0, memory = 0;  ///< whole per cent
};

/// One connection's claim on a back-end, counted from the choice to the end. Gives the count back when it goes.
/// Move-only, used by one session; borrows the table.
class Lease {
 public:
  Lease(BackendTable& table, Backend& backend)
      : table_(&table), backend_(&backend), address(backend.key.address), id(backend.id) {}
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  /// The connect failed: counted, and the back-end is ejected for a while.
  void connect_failed(TimePoint now) const { table_->connect_failed(*backend_, now); }
  void connected() const { table_->connected(*backend_); }

 private:
  BackendTable* table_;
  Backend* backend_;

 public:
  Address address;
  std::uint64_t id;
  std::optional<double> score, runner_up;
  std::vector<Explained> candidates;  ///< only when asked to explain
};

}  // namespace farol::proxy
