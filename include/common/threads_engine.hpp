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

  ThreadsEngine(std::vector<const Listener*> listeners, Handler handler, Options options, const Logger& log);
  ~ThreadsEngine() override;
  ThreadsEngine(const ThreadsEngine&) = delete;
  ThreadsEngine& operator=(const ThreadsEngine&) = delete;

  void stop() override;
  void cut() override;

 private:
  class Partner;
  class Worker;
  friend class Worker;

  bool start_worker(std::size_t listener);
  void work(Worker& self);
  bool next_client(Worker& self, Accepted& client);
  void serve(Worker& self, Accepted client);
  void retire(Worker& self);
  void supervise_all();
  void check_sessions(bool cutting);
  void join_retired();
  bool wait_again(std::atomic<int>& waiting) const;
  bool all_ended_by(TimePoint deadline) NO_THREAD_SAFETY_ANALYSIS;

  // Constant after construction.
  const std::vector<const Listener*> listeners_;
  const Handler handler_;
  const Options options_;
  const Logger& log_;

  // Synchronise themselves.
  StopEvent stop_;
  StopEvent cut_;
  PipePool pipes_;
  std::vector<std::unique_ptr<std::atomic<int>>> waiting_;  ///< workers in accept, by listener

  Mutex mutex_;
  std::list<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex_);
  std::list<std::unique_ptr<Worker>> retired_ GUARDED_BY(mutex_);  ///< ended or about to: joined by the supervisor
  std::condition_variable retired_one_;

  Thread supervisor_;
};

}  // namespace farol
