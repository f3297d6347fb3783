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
    if (active_.fetch_add(1, std::memory_order_relaxed) < most_) return true;
    active_.fetch_sub(1, std::memory_order_relaxed);
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  void leave() { active_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t active() const { return active_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t most() const { return most_; }

 private:
  const std::size_t most_;
  std::atomic<std::size_t> active_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// Accepts connections on its listeners and runs a Handler for each. Owned by main; borrows listeners and logger, which
/// must outlive it. Any thread may call. The destructor stops, cuts and joins every thread.
class Engine {
 public:
  virtual ~Engine() = default;
  /// No new connections; those that live go on.
  virtual void stop() = 0;
  /// Ends every connection now. After stop().
  virtual void cut() = 0;

  /// Connections being served.
  [[nodiscard]] std::size_t active() const { return admission_.active(); }
  /// That it serves at once, at most.
  [[nodiscard]] std::size_t max_connections() const { return admission_.most(); }
  /// Clients closed at once because there were max_connections.
  [[nodiscard]] std::uint64_t refused() const { return admission_.refused(); }

 protected:
  explicit Engine(std::size_t max_connections) : admission_(max_connections) {}
  Admission admission_;
};

/// `events` runs on io_uring where the kernel permits it, else on epoll; `epoll` is for those who do not want io_uring.
enum class EngineKind { threads, events, epoll };
std::string_view to_string(EngineKind kind);

/// Starts an engine. Throws StartError or std::system_error when there are no threads to start it with.
std::unique_ptr<Engine> start_engine(EngineKind kind, std::vector<const Listener*> listeners, Handler handler,
                                     EngineOptions options, const Logger& log);

}  // namespace farol
