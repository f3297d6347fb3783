#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"
#include "proxyctl/admin_client.hpp"
#include "proxyctl/top_controls.hpp"
#include "proxyctl/top_view.hpp"

namespace farol::proxyctl {

/// Asks the proxy again and again, in a thread of its own, so that a screen never waits for the network; and passes
/// orders on. Owned by `top`; borrows the client, which is this thread's alone while it runs. Any thread.
class Watcher {
 public:
  /// `first`: a status that is here already.
  Watcher(AdminClient& client, nlohmann::json first, Duration interval);
  /// Waits for orders, no longer than the client does.
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  struct News {
    std::shared_ptr<const TopView> view;  ///< the last there was; never null
    std::string trouble;                  ///< why there is no newer one; empty: there is
    TimePoint heard{};                    ///< when it came
    std::string told;                     ///< what became of orders, once
  };
  News news();
  /// Readable when there is something new; news() clears it.
  [[nodiscard]] int fd() const noexcept { return changed_.fd(); }

  void order(TopOrder order);

 private:
  void run();
  void look();
  bool obey();
  void sleep() const;

  AdminClient& client_;
  const Duration interval_;
  nlohmann::json last_;  ///< the thread's alone
  std::atomic<bool> stopped_{false};
  Bell changed_;
  Bell wanted_;  ///< rung by orders and at the end

  Mutex mutex_;
  News news_ GUARDED_BY(mutex_);
  std::deque<TopOrder> orders_ GUARDED_BY(mutex_);

  Thread thread_;
};

}  // namespace farol::proxyctl
