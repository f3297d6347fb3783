#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

namespace farol::model {

/// A machine that serves its requests by processor sharing: `cores` cores of `speed`, shared equally by all jobs, of which
/// none can use more than one core at a time (M/G/1-PS with one core; Kleinrock, Queueing Systems II, 4.4). Exact at any
/// number of jobs for the price of a heap: in virtual time, which runs at the rate that each job is served with, a job
/// ends `work` after it began, whoever comes and goes meanwhile.
/// Times are seconds on a clock of the caller's that never goes back; work is core-seconds at speed 1. Not thread-safe.
class ProcessorSharing {
 public:
  using Job = std::uint64_t;
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  explicit ProcessorSharing(double cores = 1, double speed = 1) : cores_(cores), speed_(speed) {}

  void set_speed(double now, double speed) {
    advance(now);
    speed_ = speed;
  }

  /// What others take of this machine, in cores; a tenth of it always remains.
  void set_stolen(double now, double stolen) {
    advance(now);
    stolen_ = stolen;
  }

  void start(double now, Job job, double work) {
    advance(now);
    jobs_.push({virtual_ + work, job});
  }

  /// When the next job ends unless something changes before; kNever without jobs.
  [[nodiscard]] double next_end() const {
    if (jobs_.empty()) return kNever;
    return now_ + std::max(0.0, jobs_.top().first - virtual_) / rate();
  }

  /// Ends the job that ends next. REQUIRES: there is one, and it is not before next_end().
  Job end_next(double now) {
    advance(now);
    const Job job = jobs_.top().second;
    jobs_.pop();
    return job;
  }

  /// Kills all jobs.
  void clear(double now) {
    advance(now);
    jobs_ = {};
  }

  [[nodiscard]] std::size_t jobs() const { return jobs_.size(); }
  [[nodiscard]] double cores() const { return cores_; }
  [[nodiscard]] double stolen() const { return stolen_; }
  /// Core-seconds that the jobs have used, and that others have taken, up to `now`.
  [[nodiscard]] double used(double now) const { return used_ + (now - now_) * busy_cores(); }
  [[nodiscard]] double taken(double now) const { return taken_ + (now - now_) * stolen_; }

 private:
  [[nodiscard]] double available() const { return std::max(cores_ - stolen_, 0.1 * cores_); }
  [[nodiscard]] double busy_cores() const { return std::min(static_cast<double>(jobs_.size()), available()); }
  [[nodiscard]] double rate() const {
    return speed_ * std::min(1.0, available() / static_cast<double>(jobs_.size()));
  }

  void advance(double now) {
    used_ = used(now);
    taken_ = taken(now);
    if (!jobs_.empty()) virtual_ += (now - now_) * rate();
    now_ = now;
  }

  double cores_, speed_, stolen_ = 0;
  double now_ = 0, virtual_ = 0;
  double used_ = 0, taken_ = 0;
  using Ending = std::pair<double, Job>;  // in virtual time
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> jobs_;
};

}  // namespace farol::model
