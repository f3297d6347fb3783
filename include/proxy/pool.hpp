#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "common/spin_mutex.hpp"
#include "proxy/decision.hpp"
#include "proxy/kept_decisions.hpp"
#include "proxy/policy.hpp"
#include "proxy/pool_meters.hpp"
#include "proxy/signals.hpp"
#include "proxy/waiter.hpp"
#include "proxy/weighted.hpp"

namespace farol::proxy {

/// In which order back-ends are tried: those of a later tier only when all of an earlier one have been.
enum class Tier : std::uint8_t { primary, backup, last_resort, never };

/// How one back-end stands in the choice: what the table publishes when something has changed. Its key is
/// base + per_load × own load, so that opening and closing connections needs nothing of the table.
struct Standing {
  Tier tier = Tier::never;
  bool backup = false;
  double base = 0, per_load = 0;
  double share = 1;           ///< weight × slow start
  std::uint32_t most = 0;     ///< own connections at once; 0: no limit
  std::uint32_t flowing = 0;  ///< connections on which a reply flowed in the last tick
  Explained told;             ///< for explanations; components without own load
  std::optional<TimePoint> reported_at;  ///< by its agent; the same
};

/// The back-ends of one pool as the choice sees them: contiguous arrays under a lock that is held for one scan.
/// Choosing and counting is one critical section. Relays do not take the lock: they count in BackendSignals and mark in
/// `changed` what the next choice has to look at. For whom there is nobody a place in the queue is kept: who waits is
/// served, first come first served, by whoever makes room. Owned by the table, which calls everything but what sessions
/// do: choose, join, leave and serve, on any thread.
class Pool {
 public:
  Pool(std::string name, Policy policy, const WeightedConfig& config, std::size_t capacity);

  std::string name;   ///< this and the next six: under the table's lock; changed, as the policy is, under both
  Policy policy;
  std::vector<Backend*> members;
  PoolView view;      ///< what members are compared with
  double report_mean = 0;  ///< the report's scores: what one without a report counts as
  TimePoint viewed_at{};
  bool settled = false;  ///< somebody has been in it for longer than a slow start: newcomers start slowly

  ChangedSet changed;
  PoolMeters meters;

  /// Chooses one and counts the connection as open and owed. Who waits already goes first.
  std::optional<Choice> choose(const Request& request);

  enum class Joined {
    waits,      ///< until it is chosen for, which may have happened already
    in_vain,    ///< it has tried all of those that may be chosen
    full,       ///< as many as may wait do
  };
  /// Puts a client for whom nobody could be chosen at the end of the queue.
  Joined join(Waiter& waiter, std::size_t most, TimePoint now);
  /// Ends the wait of one that joined: takes it out of the queue, or what was chosen for it.
  std::optional<Choice> leave(Waiter& waiter);
  /// Chooses for those who wait, as far as there is somebody. To be called when there may be.
  void serve(TimePoint now);
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.load(); }

  /// Other rules, for the same back-ends. What they have published is to be published anew.
  void change_rules(Policy next, const WeightedConfig& config);
  /// The name of one that was known by its id alone.
  void call(const std::string& known_as);
  void add(Backend& backend);
  /// False while it has connections: nothing is removed then.
  bool remove(Backend& backend);
  void publish(const Backend& backend, const Standing& standing, TimePoint now);
  /// No connection was open at the last look.
  [[nodiscard]] bool idle();
  [[nodiscard]] std::uint64_t times_chosen(const Backend& backend);
  /// Choices so far, by Reason; never fall. `nobody`: each time that a client asked in vain.
  [[nodiscard]] std::array<std::uint64_t, kReasons> choices();
  /// The last decisions that were kept, the newest first.
  [[nodiscard]] std::vector<Decision> decisions();

 private:
  struct Entry {
    Backend* backend = nullptr;
    Standing standing;
    std::uint64_t chosen = 0;  ///< so many times
  };

  [[nodiscard]] Candidates candidates() REQUIRES(mutex_);
  void revalue(std::size_t slot) REQUIRES(mutex_);
  void expose(Tier tier) REQUIRES(mutex_);
  void expose_best_tier() REQUIRES(mutex_);
  void set_tier(std::size_t slot, Tier tier) REQUIRES(mutex_);
  std::optional<Choice> choose_now(const Request& request, bool queued) REQUIRES(mutex_);
  [[nodiscard]] Reason reason(const Request& request, const Pick& pick, bool queued) const REQUIRES(mutex_);
  [[nodiscard]] bool has_moved(std::uint64_t client, const Pick& pick) const REQUIRES(mutex_);
  std::optional<Pick> pick(const Request& request) REQUIRES(mutex_);
  std::optional<Pick> pick_untried(const Request& request) REQUIRES(mutex_);
  [[nodiscard]] bool full(std::size_t slot) const REQUIRES(mutex_);
  [[nodiscard]] bool worth_waiting(const Request& request) const REQUIRES(mutex_);
  void serve_queue(TimePoint now) REQUIRES(mutex_);
  [[nodiscard]] double rated(const Standing& standing, BackendSignals::Connections own) const REQUIRES(mutex_);
  void tell(const Request& request, std::size_t chosen, Reason reason) REQUIRES(mutex_);
  [[nodiscard]] Verdict verdict(const Request& request, std::size_t slot) const REQUIRES(mutex_);
  [[nodiscard]] Explained explain(const Request& request, std::size_t slot) const REQUIRES(mutex_);
  [[nodiscard]] std::vector<Explained> explain_all(const Request& request, std::size_t chosen, std::size_t most) const
      REQUIRES(mutex_);
  void keep(const Request& request, std::size_t chosen, Reason reason) REQUIRES(mutex_);

  SpinMutex mutex_;
  WeightedConfig config_ GUARDED_BY(mutex_);
  // One entry per back-end in each, at the slot that its signals name.
  std::vector<double> key_ GUARDED_BY(mutex_);  ///< kNotNow outside the exposed tier
  std::vector<std::uint64_t> chosen_at_ GUARDED_BY(mutex_);
  std::vector<double> share_ GUARDED_BY(mutex_);
  std::vector<std::uint32_t> open_ GUARDED_BY(mutex_);
  std::vector<std::uint64_t> identity_ GUARDED_BY(mutex_);
  std::vector<double> credit_ GUARDED_BY(mutex_);
  std::vector<Entry> entries_ GUARDED_BY(mutex_);

  std::uint64_t all_open_ GUARDED_BY(mutex_) = 0;  ///< the sum of open_
  Tier exposed_ GUARDED_BY(mutex_) = Tier::primary;  ///< the earliest tier with somebody in it
  std::size_t in_tier_[4] GUARDED_BY(mutex_) = {};
  std::uint64_t choices_ GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kReasons> by_reason_ GUARDED_BY(mutex_) = {};

  std::list<Waiter*> queue_ GUARDED_BY(mutex_);
  std::atomic<std::size_t> waiting_{0};  ///< its length: who ends a connection looks at this first, without the lock

  KeptDecisions kept_ GUARDED_BY(mutex_);
};

}  // namespace farol::proxy
