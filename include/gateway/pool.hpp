#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "gateway/rate_model.hpp"

namespace farol::gateway {

using ServerId = std::uint32_t;   ///< its session
using RequestId = std::uint32_t;  ///< of one RequestFile: never used twice while its answers may still come

/// What a server's silence has made of it.
enum class ServerState {
  up,       ///< heard from lately
  suspect,  ///< three heartbeats missed: asked for no chunks, what it owes is asked of others
  down,     ///< silent for longer: kept only to be recognised when it comes back
};
const char* to_string(ServerState state);

/// A file server that has registered: the report's entry in known_hosts.
struct Server {
  Server(ServerId its_id, std::string its_name, const Address& its_address, TimePoint now, unsigned most_in_flight)
      : id(its_id), name(std::move(its_name)), address(its_address), heard(now), rate(most_in_flight) {}

  ServerId id;
  std::string name;
  Address address;
  ServerState state = ServerState::up;
  TimePoint heard;  ///< any datagram of its session

  RateModel rate;
  // Chunks come in the order they were asked for, so each has a place in one sequence, and gaps in it show losses.
  std::deque<RequestId> asks;  ///< that chunks are still owed for, in the order sent
  std::uint64_t next_sequence = 0;
  std::uint64_t newest_sequence = 0;  ///< one above the newest that came
  TimePoint newest_at{};
  unsigned reordering = 3;  ///< chunks that may overtake another before it counts as lost (RFC 9002, 6.1.1)

  // Small packets may pass where large ones do not, so this is no matter of `state`.
  unsigned timeouts = 0;          ///< in a row, without a chunk in between
  TimePoint left_out_until{};     ///< asked for no chunks before that

  std::uint64_t chunks = 0, lost = 0, duplicates = 0;

  static constexpr unsigned kWorthTelling = 4;  ///< time-outs: one or two are the machine's own pauses
  /// It is heard, but what it was asked for does not come.
  [[nodiscard]] bool undelivered() const { return state == ServerState::up && timeouts >= kWorthTelling; }
  /// May be asked for chunks now.
  [[nodiscard]] bool delivers(TimePoint now) const { return state == ServerState::up && now >= left_out_until; }
};

/// The servers that are there: the report's known_hosts. It grows by registrations and shrinks by silence; that a server
/// lacks some file says nothing about it. Not thread-safe; Fetcher's.
class Pool {
 public:
  struct Options {
    Duration suspect_after = std::chrono::seconds(3);
    Duration down_after = std::chrono::seconds(5);
    Duration forget_after = std::chrono::minutes(10);
    unsigned max_in_flight = 3000;  ///< chunks
  };
  struct Change {
    ServerId server;
    ServerState state;
    bool forgotten = false;
  };
  explicit Pool(const Options& options) : options_(options) {}

  Server& add(TimePoint now, ServerId id, std::string name, const Address& address);
  void remove(ServerId id) { servers_.erase(id); }
  [[nodiscard]] Server* find(ServerId id);
  /// A datagram of its session came. True when that brought it back.
  bool heard(TimePoint now, Server& server);
  /// Lets silence have its effect.
  std::vector<Change> advance(TimePoint now);
  [[nodiscard]] TimePoint next_deadline() const;

  [[nodiscard]] std::map<ServerId, Server>& servers() { return servers_; }
  [[nodiscard]] const std::map<ServerId, Server>& servers() const { return servers_; }
  [[nodiscard]] bool any_up() const;

 private:
  [[nodiscard]] Duration patience(ServerState state) const;

  const Options options_;
  std::map<ServerId, Server> servers_;
};

}  // namespace farol::gateway
