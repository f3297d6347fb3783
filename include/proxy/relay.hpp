#pragma once

#include <atomic>
#include <cstdint>

#include "common/io.hpp"
#include "proxy/link.hpp"

namespace farol::proxy {

/// How a relay ended.
enum class RelayEnd : std::uint8_t {
  eof,            ///< the source closed its half; everything was passed on and so was the close
  source_failed,  ///< the source was reset; everything that came before was passed on
  sink_failed,    ///< the sink takes no more
};

/// One direction of a session as its relay leaves it. Written by the thread that runs the relay; `end` is read after
/// the join.
struct Flow {
  std::atomic<std::uint64_t> bytes{0};  ///< delivered to the sink's socket
  RelayEnd end = RelayEnd::eof;
};

/// Whose relays they are: told by each when it has ended, on its own thread.
class RelayOwner {
 public:
  /// What is left to do beside the other relay, which may still run; an empty Task when nothing is.
  virtual Task<> relay_ended(Io& io, const Flow& flow) = 0;

 protected:
  ~RelayOwner() = default;
};

/// Moves one direction of a session, from `from` to `to`, until it ends (report 4.2: one of the two threads of
/// TrataClienteTCP). Half-close goes through. All it is given outlives it.
Task<> relay(Io& io, Channel& from, Channel& to, Link& link, Flow& flow, RelayOwner& owner);

}  // namespace farol::proxy
