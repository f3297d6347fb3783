#include "monitor/socket_watch.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace farol::monitor {
namespace {

Duration thread_cpu_time() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

}  // namespace

SocketWatch::SocketWatch(Counter counter) : counter_(std::move(counter)) {
  due_ = refresh();
}

SocketWatch::Count SocketWatch::latest() const {
  MutexLock lock(mutex_);
  return latest_;
}

void SocketWatch::run(const StopEvent& stop) {
  while (!stop.wait_until(due_)) due_ = refresh();
}

TimePoint SocketWatch::refresh() {
  const TimePoint now = Clock::now();
  const Duration before = thread_cpu_time();
  const ServiceSockets sockets = counter_();
  const double cost = to_seconds(thread_cpu_time() - before);
  {
    MutexLock lock(mutex_);
    latest_ = {sockets, now};
  }
  return now + std::max(kPeriod, from_seconds(cost / kCostLimit));
}

}  // namespace farol::monitor
