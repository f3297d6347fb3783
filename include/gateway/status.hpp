#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/histogram.hpp"
#include "gateway/pool.hpp"

namespace farol::gateway {

/// What the operator sees of the gateway: plain values, taken at one moment, for its admin endpoint and for tests.

struct ServerStatus {
  std::string name;
  Address address;
  ServerState state = ServerState::up;
  bool left_out = false;     ///< asked for no chunks right now
  bool undelivered = false;  ///< it is heard, but its chunks do not arrive
  Duration heard_ago{}, rtt{};
  double bytes_per_second = 0;  ///< that it can deliver, as far as was seen
  unsigned in_flight = 0, window = 0;
  std::uint64_t chunks = 0, lost = 0, duplicates = 0;
};

/// One file on its way to one client.
struct TransferStatus {
  std::uint64_t id = 0;
  std::string path;                    ///< any bytes
  Duration age{};
  bool found = false;                  ///< a version was chosen, and bytes of it are wanted
  std::uint64_t given = 0, wanted = 0;  ///< bytes: taken by its client so far, and in all
  std::size_t servers = 0;             ///< that chunks came from
  std::uint64_t asked_again = 0;       ///< chunks that were lost or late
};

struct Count {
  std::string reason;
  std::uint64_t count = 0;
};

struct PoolStatus {
  std::vector<ServerStatus> servers;
  std::size_t transfers = 0;             ///< files that are looked for or sent
  std::vector<TransferStatus> longest;   ///< of these, the oldest ones
  std::uint64_t transfers_total = 0;
  std::vector<Count> failed;             ///< transfers, by reason
  std::vector<Count> dropped;            ///< datagrams, by reason
  std::uint64_t socket_drops = 0;        ///< datagrams that our receive buffer had no room for
  bool ready = false;                    ///< some server is up
  HistogramCounts chunk_rtt;             ///< from a question to its first chunk
};

struct GatewayStatus {
  std::chrono::system_clock::time_point started{};
  Duration uptime{};
  std::string engine;
  std::size_t connections_active = 0, connections_most = 0;
  std::uint64_t connections_refused = 0;  ///< closed at once, for there were so many
  bool draining = false;                  ///< the gateway itself is stopping
  std::uint64_t log_lines_dropped = 0;
  std::vector<std::pair<int, std::uint64_t>> answers;  ///< by status; 0: any other
  std::uint64_t bytes = 0;                             ///< of files, to clients
  HistogramCounts first_byte, transfer_time;
  PoolStatus pool;
};

/// What the admin endpoint asks of the gateway. Implemented by GatewayServer; any thread.
class GatewayView {
 public:
  virtual ~GatewayView() = default;
  [[nodiscard]] virtual GatewayStatus status() const = 0;
};

}  // namespace farol::gateway
