#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/spin_mutex.hpp"
#include "proxy/decision.hpp"
#include "proxy/policy.hpp"
#include "proxy/signals.hpp"
#include "proxy/weighted.hpp"

namespace farol::proxy {

class Backend;

/// In which order back-ends are tried: those of a later tier only when all of an earlier one have been.
enum class Tier : std::uint8_t { primary, backup, last_resort, never };

/// How one back-end stands in the choice: what the table publishes when something has changed. Its key is
/// base + per_load × own load, so that opening and closing connections needs nothing of the table.
struct Standing {
  Tier tier = Tier::never;
  double base = 0, per_load = 0;
  double share = 1;           ///< weight × slow start
  std::uint32_t flowing = 0;  ///< connections on which a reply flowed in the last tick
  Explained told;             ///< for explanations; components without own load
};

/// The back-ends of one pool as the choice sees them: contiguous arrays under a lock that is held for one scan. Choosing
/// and counting is one critical section. Relays do not take the lock: they count in BackendSignals and mark in `changed`
/// what the next choice has to look at. Owned by the table, which calls everything but choose(); any thread chooses.
class Pool {
 public:
  Pool(std::string name, Policy policy, const WeightedConfig& config, std::size_t capacity);

  std::string name;   ///< this and the next six: under the table's lock
  const Policy policy;
  std::vector<Backend*> members;
  PoolView view;      ///< what members are compared with
  double report_mean = 0;  ///< the report's scores: what one without a report counts as
  TimePoint viewed_at{};
  bool settled = false;  ///< somebody has been in it for longer than a slow start: newcomers start slowly

  ChangedSet changed;

  struct Request {
    std::span<const std::uint64_t> tried;  ///< ids to leave out
    TimePoint now{};
    std::uint64_t client = 0;  ///< hash of its address
    std::vector<Explained>* explained = nullptr;  ///< where every candidate's figures go, if anybody wants them
  };
  struct Choice {
    Backend* backend = nullptr;
    double score = 0;
    double runner_up = kNotNow;
  };
  /// Chooses one and counts the connection as open and owed.
  std::optional<Choice> choose(const Request& request);

  void add(Backend& backend);
  /// False while it has connections: nothing is removed then.
  bool remove(Backend& backend);
  void publish(const Backend& backend, const Standing& standing);
  /// No connection was open at the last look.
  [[nodiscard]] bool idle();
  [[nodiscard]] std::uint64_t times_chosen(const Backend& backend);
  /// The last decisions that were kept, the newest first: all of them when there are few, some when there are many.
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
  std::optional<Pick> pick(const Request& request) REQUIRES(mutex_);
  std::optional<Pick> pick_untried(const Request& request) REQUIRES(mutex_);
  [[nodiscard]] Explained explain(std::size_t slot) const REQUIRES(mutex_);
  [[nodiscard]] std::vector<Explained> explain_all(std::size_t chosen, std::size_t most) const REQUIRES(mutex_);
  bool worth_keeping(TimePoint now) REQUIRES(mutex_);
  void keep(std::size_t chosen, TimePoint now) REQUIRES(mutex_);

  const WeightedConfig& config_;

  SpinMutex mutex_;
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

  std::vector<Decision> kept_ GUARDED_BY(mutex_);  ///< a ring
  std::uint64_t kept_count_ GUARDED_BY(mutex_) = 0;
  double may_keep_ GUARDED_BY(mutex_);
  TimePoint kept_at_ GUARDED_BY(mutex_){};
};

}  // namespace farol::proxy
