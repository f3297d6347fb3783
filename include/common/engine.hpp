#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/heartbeats.hpp"
#include "common/io.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"

namespace farol {

/// Pipes that an engine splices through at once (two descriptors each, up to 1 MiB of pages in flight). More streams
/// than that are copied.
inline constexpr std::size_t kMaxPipes = 256;

struct EngineOptions {
  std::size_t max_connections = 4096;  ///< beyond that clients are closed at once, and counted
  std::size_t max_pipes = kMaxPipes;
  std::size_t idle_workers = 64;       ///< threads: kept waiting for the next connection, per listener
  std::size_t reactors = 1;            ///< events: one thread each
  std::string name = "relay";          ///< of its threads
  Heartbeats* heartbeats = nullptr;    ///< null: nobody watches its threads
};

/// Who is inside: how many connections an engine serves, and how many it turned away. Any thread.
class Admission {
 public:
  explicit Admission(std::size_t most) : most_(most) {}
  /// Counts a client in, or refuses it.
  bool enter() {
    if (active_.fetch_add(1, std::memory_order_relaxed) < most()) return true;
    active_.fetch_sub(1, std::memory_order_relaxed);
    refused_.fetch_add(1, std::memory_order_relaxed);
    refused_at_.store(Clock::now(), std::memory_order_relaxed);
    return false;
  }
  void leave() { active_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t active() const { return active_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  /// When it was that last; TimePoint{} for never.
  [[nodiscard]] TimePoint refused_at() const { return refused_at_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t most() const { return most_.load(std::memory_order_relaxed); }
  void limit(std::size_t most) { most_.store(most, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> most_;
  std::atomic<std::size_t> active_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<TimePoint> refused_at_{TimePoint{}};
};

/// Accepts connections on its listeners and runs a Handler for each. Owned by main; borrows the logger, which must outlive
/// it, and shares the listeners for as long as it accepts on them. Any thread may call, but for listen(). The destructor
/// stops, cuts and joins every thread.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Accepts on one more listener, whose clients come with `number` (Accepted::listener). It is let go when it is closed.
  /// Throws StartError or std::system_error: then nothing has changed. One thread at a time, before stop() and release().
  virtual void listen(std::shared_ptr<const Listener> listener, std::uint32_t number) = 0;
  /// No new connections, and the listeners closed; the connections that live go on.
  virtual void stop() = 0;
  /// No new connections, but the listeners stay open, also at the end: somebody else accepts on them.
  virtual void release() = 0;
  /// Listeners that nobody else holds are closed by this. When accepts() has become false.
  virtual void drop_listeners() = 0;
  /// A client may still be accepted: after stop() or release() for a moment only.
  [[nodiscard]] virtual bool accepts() = 0;
  /// Ends every connection now. After stop().
  virtual void cut() = 0;

  /// Connections being served.
  [[nodiscard]] std::size_t active() const { return admission_.active(); }
  /// That it serves at once, at most.
  [[nodiscard]] std::size_t max_connections() const { return admission_.most(); }
  /// From now on; those beyond it stay.
  void limit_connections(std::size_t most) { admission_.limit(most); }
  /// Clients closed at once because there were max_connections.
  [[nodiscard]] std::uint64_t refused() const { return admission_.refused(); }
  [[nodiscard]] TimePoint refused_at() const { return admission_.refused_at(); }

 protected:
  explicit Engine(std::size_t max_connections) : admission_(max_connections) {}
  Admission admission_;
};

/// `events` runs on io_uring where the kernel permits it, else on epoll; `epoll` is for those who do not want io_uring.
enum class EngineKind { threads, events, epoll };
std::string_view to_string(EngineKind kind);

/// Starts an engine; the listeners are numbered from 0. Throws StartError or std::system_error when there are no threads to start it with.
std::unique_ptr<Engine> start_engine(EngineKind kind, const std::vector<std::shared_ptr<const Listener>>& listeners,
                                     Handler handler, EngineOptions options, const Logger& log);

}  // namespace farol
