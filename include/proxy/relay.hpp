#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "common/io.hpp"
#include "proxy/link.hpp"

namespace farol::proxy {

/// How a relay ended.
enum class RelayEnd : std::uint8_t {
  eof,            ///< the source closed its half; everything was passed on and so was the close
  source_failed,  ///< the source was reset; everything that came before was passed on
  sink_failed,    ///< the sink takes no more, or the session is cut
};

/// One direction of a session. Belongs to the thread that runs its relay; `bytes` may be read by all, `end` after the
/// join.
struct Flow {
  const Link::Side from;
  bool may_splice = true;
  std::optional<RelayEnd> end = std::nullopt;
  std::atomic<std::uint64_t> bytes{0};  ///< delivered to the sink's socket
};

/// What the two relays of a session share.
class Relayed {
 public:
  Link link;

  /// Called by each relay when it has ended, on its own thread: what is left to do beside the other one, which may still
  /// run. An empty Task when nothing is.
  virtual Task<> relay_ended(Io& io, const Flow& flow) = 0;

 protected:
  Relayed(Io& io, Fd client, const Link::Limits& limits) : link(io, std::move(client), limits) {}
  ~Relayed() = default;
};

/// Moves one direction of a session, from one side of its link to the other, until it ends (report 4.2: one of the two
/// threads of TrataClienteTCP). Half-close goes through. All it is given outlives it.
Task<> relay(Io& io, Relayed& session, Flow& flow);

}  // namespace farol::proxy
