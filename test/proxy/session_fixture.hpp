#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/engine.hpp"
#include "common/io.hpp"
#include "common/listener.hpp"
#include "common/log.hpp"
#include "common/sanitizers.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/counters.hpp"
#include "proxy/session.hpp"

namespace farol::test {

/// What the tests of relays, sessions and engines stand on: clients and servers whose every wait ends, a proxy between
/// them on the engine that the test asks for, and its log. A wait that runs out of patience throws: a test that would
/// hang fails instead. All of it is for one thread, except where the test hands a Peer to another.

using namespace std::chrono_literals;

/// Sanitizers cost ten times the time: the large tests are smaller under them.
inline constexpr std::size_t kScale = kThreadSanitizer ? 16 : kAddressSanitizer ? 4 : 1;
inline constexpr auto kPatience = 20s;
/// What waits for no time-out is over by then.
inline constexpr auto kAtOnce = kScale == 1 ? 1s : 4s;
inline constexpr std::size_t kKiB = 1024, kMiB = 1024 * 1024;

/// The engines that every relay, session and engine test runs on: `const auto engine = GENERATE(every_engine())`.
inline auto every_engine() { return Catch::Generators::values({EngineKind::threads, EngineKind::events, EngineKind::epoll}); }

/// While it lives, what fails says on which engine.
inline Catch::ScopedMessage naming(EngineKind engine) {
  return Catch::ScopedMessage(Catch::MessageBuilder("INFO", CATCH_INTERNAL_LINEINFO, Catch::ResultWas::Info)
                              << "engine: " << to_string(engine));
}

/// Sizes of a socket's buffers, in bytes; 0 leaves the kernel's.
struct Buffers {
  int receive = 0, send = 0;
};

/// The end of a connection that the test holds.
class Peer {
 public:
  explicit Peer(Fd fd);
  static Peer connect(const Address& to, Buffers buffers = {}, const Address& from = {});

  /// Sends all of it; false when the connection is gone.
  bool send(std::string_view bytes) const;
  /// Sends what fits now, without waiting; 0 when nothing does.
  std::size_t send_some(std::string_view bytes) const;
  /// The next `count` bytes; fewer only when the connection ends before.
  [[nodiscard]] std::string read(std::size_t count) const;
  enum class End { eof, reset };
  /// All that comes, and how it ended. `pause`: after each 64 KiB.
  struct Rest {
    std::string bytes;
    End end = End::eof;
  };
  Rest read_to_end(std::chrono::milliseconds pause = {}) const;
  /// Waits until the other side's kernel has all that was sent: neither close nor reset can lose it then.
  void wait_until_received() const;
  /// True when there is something to read, if only the end.
  [[nodiscard]] bool readable(std::chrono::milliseconds within) const;

  void shutdown_write() const;
  void close() { fd_.reset(); }
  /// Closes with a reset.
  void reset();
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Address local() const;

 private:
  Fd fd_;
};

/// A server whose script is the test: it accepts when the test says so.
class ScriptedServer {
 public:
  explicit ScriptedServer(Buffers buffers = {});
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] Peer accept() const;
  [[nodiscard]] bool has_client(std::chrono::milliseconds within) const;
  void close() { fd_.reset(); }

 private:
  Fd fd_;
  Address address_;
};

/// A port that nobody listens on, and that nobody else can take.
class RefusingServer {
 public:
  RefusingServer();
  [[nodiscard]] const Address& address() const { return address_; }

 private:
  Fd fd_;
  Address address_;
};

/// A server whose queue is full: the kernel drops every further SYN, as a black hole does.
class BlackHole {
 public:
  BlackHole();
  [[nodiscard]] const Address& address() const { return address_; }

 private:
  Fd fd_;
  Address address_;
  std::vector<Fd> in_queue_;
};

/// A log that the test reads: a pipe.
class LogPipe {
 public:
  explicit LogPipe(LogLevel level = LogLevel::info);
  [[nodiscard]] const Logger& log() const { return logger_; }
  /// The fields of the next line with this message.
  std::map<std::string, std::string> next(const std::string& message);
  /// All lines so far.
  std::string drain();

 private:
  Fd reader_, writer_;
  Logger logger_;
  std::string unread_;
};

/// The proxy: a table with static back-ends that were found accepting, a listener, and sessions on an engine.
class ProxyUnderTest {
 public:
  struct Options {
    Duration connect_timeout = 5s;
    int retries = 3;
    Duration more_within{};  ///< for further ones
    Duration idle = 60s, fin = 30s, user = 0s, lifetime = 0s;
    std::size_t max_connections = 4096, idle_workers = 64;
    Duration queue_timeout{};  ///< nobody waits
    std::size_t max_queue = 1024;
    std::uint32_t per_backend = 0, per_source = 0;
    LogLevel log_level = LogLevel::info;
  };
  ProxyUnderTest(EngineKind engine, const std::vector<Address>& backends, const Options& options);
  ProxyUnderTest(EngineKind engine, const std::vector<Address>& backends)
      : ProxyUnderTest(engine, backends, Options{}) {}

  [[nodiscard]] const Address& address() const { return listener_->address(); }
  [[nodiscard]] Peer client(Buffers buffers = {}) const { return Peer::connect(address(), buffers); }
  /// The next line of the access log: waits for a session to end.
  std::map<std::string, std::string> next_session() { return log_.next("connection"); }
  [[nodiscard]] std::string state_of(const Address& backend);
  /// Waits until so many clients wait for a back-end; false when they do not.
  [[nodiscard]] bool waits(std::size_t clients);
  [[nodiscard]] std::uint64_t rejected(const std::string& reason) const;
  [[nodiscard]] proxy::ProxyStatus status() const;
  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] proxy::BackendTable& table() { return table_; }
  void add_backend(const Address& address, bool backup = false);
  void add_backup(const Address& address) { add_backend(address, true); }
  void set_state(const Address& backend, proxy::AdminState state, std::optional<Duration> close_over = {});
  /// Ends the engine, and with it every thread of the proxy.
  void end() { engine_.reset(); }

 private:
  const Catch::ScopedMessage name_;
  LogPipe log_;
  proxy::Counters counters_;
  proxy::BackendTable table_;
  proxy::SourceLimit sources_;
  const proxy::ContextPointer context_;
  const std::shared_ptr<const Listener> listener_;
  std::unique_ptr<Engine> engine_;
};

/// A client and the server's end of its session, connected through the proxy.
struct Pair {
  Peer client, server;
};
Pair connect_through(const ProxyUnderTest& proxy, const ScriptedServer& server, Buffers client_buffers = {});

/// True once `what` holds; false when it does not within kPatience. For states that no descriptor announces.
bool eventually(const std::function<bool()>& what);

/// Runs `body` in a process of its own, whose limits, user and network it may ruin; returns its verdict, empty when all is
/// well.
std::string in_child(const std::function<std::string()>& body);

/// `count` bytes that a seed determines.
std::string seeded_bytes(std::size_t count, std::uint64_t seed);
std::string sha256(std::string_view bytes);

/// From here on this process is alone on a network with nothing but loopback. Takes root, and a process of its own.
void enter_network_of_our_own();

/// Descriptors and threads that this process has. A joined thread is still there for a moment.
std::size_t open_descriptors();
std::size_t running_threads();
/// Once none of them is on its way out any more.
std::size_t settled_threads();

}  // namespace farol::test
