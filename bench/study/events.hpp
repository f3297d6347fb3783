#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace farol::study {

/// Virtual time: what is to happen, in order; at the same moment in the order in which it was planned, so that a run is a
/// function of its seed. Times are seconds.
class Events {
 public:
  [[nodiscard]] double now() const { return now_; }

  /// REQUIRES: `when` is not in the past.
  void at(double when, std::function<void()> what) { planned_.push({when, next_++, std::move(what)}); }
  void in(double delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  void run_until(double end) {
    while (!planned_.empty() && planned_.top().when <= end) {
      // The queue's top is const because its order must not change; taking the function out does not change it.
      auto what = std::move(const_cast<Planned&>(planned_.top()).what);
      now_ = planned_.top().when;
      planned_.pop();
      what();
    }
    now_ = end;
  }

 private:
  struct Planned {
    double when = 0;
    std::uint64_t number = 0;
    std::function<void()> what;
    bool operator>(const Planned& other) const { return std::pair(when, number) > std::pair(other.when, other.number); }
  };
  std::priority_queue<Planned, std::vector<Planned>, std::greater<>> planned_;
  std::uint64_t next_ = 0;
  double now_ = 0;
};

}  // namespace farol::study
