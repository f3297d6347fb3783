#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"
#include "dashboard/feed.hpp"
#include "http/response.hpp"

namespace farol::dashboard {

/// Tells everybody who watches, once a second, what has changed: server-sent events (WHATWG HTML, 9.2). A watcher gets
/// an event `snapshot`, then an event `tick` for every sample. Each text is rendered once and shared; nobody watching,
/// none is. A watcher that falls kKept samples behind is cut: its browser comes back by itself, for a new snapshot.
///
/// Owned by the Dashboard; borrows the feed, which must outlive it, as it must outlive every Response of events(). Any
/// thread. Its own thread, `dashboard`, only takes samples.
class Live {
 public:
  static constexpr std::size_t kMostWatchers = 64;
  static constexpr std::size_t kKept = 10;
  static constexpr Duration kInterval = std::chrono::seconds(1);

  explicit Live(Feed& feed, Duration interval = kInterval);
  ~Live();

  /// The stream for one more watcher; 503 when there are kMostWatchers.
  http::Response events();
  /// Every stream ends within an interval: their browsers find whoever serves the address now.
  void send_away() { over_.store(true); }
  [[nodiscard]] std::size_t watchers() const { return watchers_.load(); }

 private:
  class Watcher;
  /// The text of a sample, framed as an event.
  using Event = std::shared_ptr<const std::string>;
  struct Next {
    Event event;               ///< null: not there yet
    bool lost = false;         ///< it is no longer kept
    TimePoint look_again{};
  };

  void run();
  void publish();
  Next after(std::uint64_t sample);

  Feed& feed_;
  const Duration interval_;
  StopEvent stop_;
  std::atomic<std::size_t> watchers_{0};
  std::atomic<bool> over_{false};
  Mutex mutex_;
  std::deque<Event> events_ GUARDED_BY(mutex_);       ///< of successive samples
  std::uint64_t newest_ GUARDED_BY(mutex_) = 0;       ///< the sample of the last of them
  TimePoint next_sample_ GUARDED_BY(mutex_) = Clock::now();
  Thread thread_;  // last: joined before what it uses goes
};

}  // namespace farol::dashboard
