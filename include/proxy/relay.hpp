#pragma once

#include <atomic>
#include <cstdint>

#include "common/io.hpp"
#include "proxy/link.hpp"

namespace farol::proxy {

/// How a relay ended.
enum class RelayEnd {
  eof,            ///< the source closed its half; everything was passed on and so was the close
  source_failed,  ///< the source was reset; everything that came before was passed on
  sink_failed,    ///< the sink takes no more
};

/// Copies one direction of a session, from `from` to `to`, until it ends (report 4.2: one of the two threads of
/// TrataClienteTCP). Half-close goes through. Adds to `bytes` what was delivered to the sink's socket.
Task<RelayEnd> relay(Io& io, Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes);

}  // namespace farol::proxy
