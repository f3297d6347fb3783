#pragma once

#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "gateway/asks.hpp"
#include "gateway/negative_cache.hpp"
#include "gateway/pool.hpp"
#include "gateway/status.hpp"
#include "gateway/transfer.hpp"
#include "transfer/codec.hpp"

namespace farol::gateway {

/// The gateway's half of the file protocol, from the registered servers to the bytes that clients take: messages in,
/// messages out, time given. No sockets, no clock, no lock. Not thread-safe: Demultiplexer guards it.
class Fetcher {
 public:
  struct Options {
    Pool::Options pool;
    std::uint64_t read_ahead = 8U << 20U;          ///< of one transfer: bounds its memory
    std::uint64_t read_ahead_in_all = 256U << 20U;  ///< shared when there are many
    Duration lookup_timeout = std::chrono::seconds(10);
    Duration stall_timeout = std::chrono::seconds(30);  ///< without a new chunk while the reader waits
    RequestId first_request = 1;
  };
  explicit Fetcher(const Options& options);

  struct Outgoing {
    ServerId server = 0;
    RequestId request = 0;
    transfer::Message message;
  };
  /// Something that an operator wants to know.
  struct Event {
    enum class Kind { suspect, down, forgotten, back, left_out, delivers_again };
    Kind kind;
    ServerId server;
    std::string name;
    Address address;
  };

  // The demultiplexer's.
  void add_server(TimePoint now, ServerId id, std::string name, const Address& address, Duration rtt);
  void remove_server(TimePoint now, ServerId id);
  void receive(TimePoint now, ServerId from, const transfer::Header& header, const transfer::Message& message);
  /// Lets time have its effect and asks for what is wanted; call it when next_deadline() is reached and after a batch of
  /// any other calls.
  void advance(TimePoint now);
  [[nodiscard]] TimePoint next_deadline(TimePoint now) const;
  std::vector<Outgoing> take_outgoing() { return std::exchange(outgoing_, {}); }
  std::vector<Event> take_events() { return std::exchange(events_, {}); }
  /// Every transfer fails: the gateway stops.
  void fail_all();

  // The handlers'. A waiter is rung at most once for each time that its handler found nothing new.
  /// The waiter must live until finish().
  TransferId open(TimePoint now, std::string path, Waiter& waiter);
  void finish(TransferId id);
  struct Look {
    std::optional<transfer::FileInfo> version;
    std::optional<Failure> failure;
  };
  /// What is known of the file; with neither set, the waiter will be rung.
  Look look(TransferId id);
  /// Bytes [first, end) are wanted. REQUIRES: look() gave a version.
  void fetch(TimePoint now, TransferId id, std::uint64_t first, std::uint64_t end);
  struct Taken {
    std::optional<Window::Piece> piece;
    std::optional<Failure> failure;
    bool more_to_ask = false;  ///< advance() would ask for more now
  };
  /// The next bytes in order; `used` is a buffer from before. With neither set, the waiter will be rung.
  Taken take(TimePoint now, TransferId id, SegmentBuffer used);

  [[nodiscard]] const Pool& pool() const { return pool_; }
  [[nodiscard]] const Transfer* find(TransferId id) const;
  [[nodiscard]] std::size_t transfers() const { return transfers_.size(); }
  /// Writes down what there is, but for what its owner knows of the socket.
  void describe(TimePoint now, PoolStatus& status) const;
  [[nodiscard]] std::uint64_t unexpected() const { return unexpected_; }  ///< answers to no question

 private:
  struct Stat {
    ServerId server;
    TransferId transfer;
    TimePoint sent;
  };
  void on(TimePoint now, Server& server, RequestId request, const transfer::FileInfo& info);
  void on(TimePoint now, Server& server, RequestId request, const transfer::FileChunk& chunk);
  void on(TimePoint now, Server& server, RequestId request, const transfer::FileNotFound& refusal);
  std::optional<Stat> answered_stat(TimePoint now, Server& server, RequestId request);
  void take_back(const Asks::Returns& returns);
  void advance_servers(TimePoint now);
  void advance_lookup(TimePoint now, Transfer& transfer);
  void advance_deadlines(TimePoint now, Transfer& transfer);
  void schedule(TimePoint now);
  void hedge(TimePoint now, Transfer& transfer);
  void ask(TimePoint now, Transfer& transfer, Server& server, const Window::Part& part);
  void fail(Transfer& transfer, Failure failure);
  static void news(Transfer& transfer);
  void tell(Event::Kind kind, const Server& server);
  [[nodiscard]] std::uint64_t ahead() const;
  [[nodiscard]] unsigned budget() const;

  const Options options_;
  Pool pool_;
  NegativeCache lacking_;
  Asks asks_;
  std::map<TransferId, Transfer> transfers_;
  std::unordered_map<RequestId, Stat> stats_;
  TransferId next_transfer_ = 1;
  RequestId next_request_;
  std::uint64_t unexpected_ = 0;
  std::array<std::uint64_t, kFailures> failed_{};  ///< transfers
  std::vector<Outgoing> outgoing_;
  std::vector<Event> events_;
};

}  // namespace farol::gateway
