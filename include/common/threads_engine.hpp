#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "common/engine.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"

namespace farol {

/// Thread per connection. Workers accept for themselves (leader/follower: no hand-off between accept and connect) and
/// serve what they accepted; the second coroutine of a connection runs on the worker's partner thread. Both are kept
/// for the next connection. One supervisor thread watches time-outs and carries out the cut, by shutdown(2).
class ThreadsEngine final : public Engine {
 public:
  using Options = EngineOptions;

  ThreadsEngine(Handler handler, Options options, const Logger& log);
  ~ThreadsEngine() override;
  ThreadsEngine(const ThreadsEngine&) = delete;
  ThreadsEngine& operator=(const ThreadsEngine&) = delete;

  void listen(std::shared_ptr<const Listener> listener, std::uint32_t number) override;
  void stop() override;
  void release() override;
  bool accepts() override;
  void drop_listeners() override;
  void cut() override;

 private:
  class Partner;
  class Worker;
  friend class Worker;
  /// A listener and its workers, who share it: it goes with the last of them.
  struct Gate {
    std::shared_ptr<const Listener> listener;
    std::uint32_t number = 0;
    std::atomic<int> waiting{0};  ///< workers in accept
  };

  bool start_worker(const std::shared_ptr<Gate>& gate);
  void work(Worker& self);
  bool next_client(Worker& self, Accepted& client);
  void serve(Worker& self, Accepted client);
  void retire(Worker& self);
  void supervise_all();
  void check_sessions(bool cutting);
  void wake_waiting();
  void join_retired();
  bool wait_again(std::atomic<int>& waiting) const;
  bool all_ended_by(TimePoint deadline) NO_THREAD_SAFETY_ANALYSIS;

  // Constant after construction.
  const Handler handler_;
  const Options options_;
  const Logger& log_;

  // Synchronise themselves.
  StopEvent stop_;
  StopEvent cut_;
  std::atomic<bool> ending_{false};
  PipePool pipes_;

  Mutex mutex_;
  std::vector<std::weak_ptr<const Listener>> listeners_ GUARDED_BY(mutex_);
  std::list<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex_);
  std::list<std::unique_ptr<Worker>> retired_ GUARDED_BY(mutex_);  ///< ended or about to: joined by the supervisor
  std::condition_variable retired_one_;

  Thread supervisor_;
};

}  // namespace farol
