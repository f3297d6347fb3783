#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/engine.hpp"
#include "common/mutex.hpp"
#include "common/reactor.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"

namespace farol {

/// A reactor per core: each accepts on listeners of its own (SO_REUSEPORT: the kernel spreads clients over them) and
/// runs its connections' coroutines on one thread. A coroutine is suspended only when the kernel has nothing for it.
class EventsEngine final : public Engine {
 public:
  using Options = EngineOptions;

  /// `may_use_uring`: io_uring where the kernel permits it, else epoll.
  EventsEngine(Handler handler, Options options, bool may_use_uring, const Logger& log);
  ~EventsEngine() override;
  EventsEngine(const EventsEngine&) = delete;
  EventsEngine& operator=(const EventsEngine&) = delete;

  void listen(std::shared_ptr<const Listener> listener, std::uint32_t number) override;
  void stop() override;
  void release() override;
  bool accepts() override;
  void drop_listeners() override {}  // each reactor has, when it stopped
  void cut() override;

 private:
  const Handler handler_;
  StopEvent stop_;
  StopEvent cut_;
  PipePool pipes_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  Mutex mutex_;
  std::vector<std::weak_ptr<const Listener>> listeners_ GUARDED_BY(mutex_);
};

}  // namespace farol
