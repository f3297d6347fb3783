#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "processor_sharing.hpp"

namespace farol::model {

/// What the machine's agent says of it. Shares are 0 to 1.
struct Figures {
  double cpu = 0;
  double memory = 0;
  unsigned connections = 0;
};

enum class Lie { none, idle, full };

/// One machine behind a proxy, of which only the passing of time is real: a CPU shared by its requests, a wait after it
/// that costs no CPU (a disk, a database elsewhere), and the figures that an agent on it would report.
/// Times are seconds on the caller's clock. Not thread-safe.
class EmulatedMachine {
 public:
  using Job = ProcessorSharing::Job;

  EmulatedMachine(double cores, double speed) : cpu_(cores, speed) {}

  void start(double now, Job job, double work, double wait) {
    if (wait > 0) waits_.push_back({job, wait});
    cpu_.start(now, job, work);
  }

  /// When the next job ends its CPU or its wait; infinite without jobs.
  [[nodiscard]] double next_event() const {
    return std::min(cpu_.next_end(), waiting_.empty() ? ProcessorSharing::kNever : waiting_.top().first);
  }

  /// Lives through all that happens until `now`, each event at its own time; `ended(job, at)` for each finished job.
  template <typename Ended>
  void advance(double now, Ended ended) {
    while (next_event() <= now) {
      const double at = next_event();
      if (cpu_.next_end() > at) {
        const Job job = waiting_.top().second;
        waiting_.pop();
        ended(job, at);
        continue;
      }
      const Job job = cpu_.end_next(at);
      const auto wait = std::find_if(waits_.begin(), waits_.end(), [job](const auto& w) { return w.first == job; });
      if (wait == waits_.end()) {
        ended(job, at);
      } else {
        waiting_.push({at + wait->second * wait_scale, job});
        waits_.erase(wait);
      }
    }
  }

  /// The process dies: its jobs are gone.
  void kill(double now) {
    cpu_.clear(now);
    waits_.clear();
    waiting_ = {};
  }

  void set_speed(double now, double speed) { cpu_.set_speed(now, speed); }
  void set_stolen(double now, double cores) { cpu_.set_stolen(now, cores); }
  [[nodiscard]] std::size_t jobs() const { return cpu_.jobs() + waiting_.size(); }
  [[nodiscard]] double cpu_used(double now) const { return cpu_.used(now); }

  /// Core-seconds that an agent here has seen used, by its requests and by others. To be called now and then, and before
  /// `shows` changes.
  double seen(double now) {
    const double used = cpu_.used(now), taken = cpu_.taken(now);
    seen_ += (used - used_before_) * shows + (taken - taken_before_);
    used_before_ = used;
    taken_before_ = taken;
    return seen_;
  }

  /// What an agent says whose CPU meter has risen by `seen` core-seconds in `seconds`.
  [[nodiscard]] Figures figures(double seen, double seconds, unsigned connections) const {
    if (lie == Lie::idle) return {0, 0, 0};
    if (lie == Lie::full) return {1, 1, 100};
    return {seconds > 0 ? std::clamp(seen / seconds / cpu_.cores(), 0.0, 1.0) : 0, memory, connections};
  }

  double shows = 1;       ///< share of the busy time that an agent can see as CPU: a disk is busy without it
  double wait_scale = 1;  ///< waits here are this much longer
  double memory = 0.4;
  Lie lie = Lie::none;

 private:
  ProcessorSharing cpu_;
  std::vector<std::pair<Job, double>> waits_;  ///< jobs on the CPU that are to wait after it
  using Waking = std::pair<double, Job>;
  std::priority_queue<Waking, std::vector<Waking>, std::greater<>> waiting_;
  double seen_ = 0, used_before_ = 0, taken_before_ = 0;
};

}  // namespace farol::model
