#pragma once

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "common/thread.hpp"
#include "gateway/fetcher.hpp"
#include "gateway/sessions.hpp"
#include "gateway/status.hpp"
#include "transfer/transfer_socket.hpp"

namespace farol::gateway {

/// The report's demultiplexer: one thread that takes every datagram on the one UDP socket, gives each to the session and
/// the transfer it belongs to, and sends what the Fetcher wants asked. Handlers call the rest from their own threads.
///
/// Owned by main. Thread safety: any thread may call the handlers' functions; mutex_ guards the Fetcher, and no system
/// call is made under it but the ringing of bells. Socket and sessions are the demultiplexer thread's alone.
class Demultiplexer {
 public:
  Demultiplexer(transfer::TransferSocket socket, const Sessions::Options& sessions, Fetcher::Options fetching,
                const Logger& log);
  ~Demultiplexer() { stop(); }
  Demultiplexer(const Demultiplexer&) = delete;
  Demultiplexer& operator=(const Demultiplexer&) = delete;

  /// Fails what is still being fetched, says goodbye to the servers and ends the thread.
  void stop();

  // The handlers', as in Fetcher.
  TransferId open(const std::string& path, Waiter& waiter);
  void finish(TransferId id);
  Fetcher::Look look(TransferId id);
  void fetch(TransferId id, std::uint64_t first, std::uint64_t end);
  Fetcher::Taken take(TransferId id, SegmentBuffer used);
  /// How many servers its chunks came from, and how many chunks had to be asked for again.
  struct Tally {
    std::size_t servers = 0;
    std::uint64_t asked_again = 0;
  };
  Tally tally(TransferId id);

  [[nodiscard]] PoolStatus status() const;

 private:
  void run();
  void receive_all();
  void receive(transfer::Arrival& arrival);
  void advance();
  void send(std::vector<Fetcher::Outgoing> outgoing);
  void report(const std::vector<Fetcher::Event>& events);
  void report_joined(const Sessions::Joined& joined);
  void report_dropped(transfer::DropReason reason, const Address& peer);
  void wait(TimePoint until);
  void say_goodbye();

  const Logger& log_;
  Bell bell_;  ///< handlers ring it when there is something to ask for
  std::atomic<bool> stopping_{false};

  // The thread's.
  transfer::TransferSocket socket_;
  Sessions sessions_;
  RateLimit drop_log_{std::chrono::seconds(1)};

  mutable Mutex mutex_;
  Fetcher fetcher_ GUARDED_BY(mutex_);
  std::array<std::uint64_t, transfer::kDropReasons> dropped_ GUARDED_BY(mutex_){};  ///< copies, for the status
  std::uint64_t socket_drops_ GUARDED_BY(mutex_) = 0;

  Thread thread_;  // last: joined before what it uses goes
};

}  // namespace farol::gateway
