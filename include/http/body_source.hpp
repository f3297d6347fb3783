#pragma once

#include <cstddef>
#include <span>

#include "common/io.hpp"
#include "common/task.hpp"

namespace farol::http {

/// A body that comes while it is sent. The server asks for the next piece only when the client took the one before, so
/// a slow client holds its source back and nothing piles up. Owned by the Response; one coroutine at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// The next bytes, valid until the next call or ~BodySource. May await, in bounded time. Empty when it failed or,
  /// where nobody knows the length, has ended: the connection is then closed, so that a body cut short never looks
  /// complete (RFC 9112, 8).
  virtual Task<std::span<const std::byte>> next(Io& io) = 0;
};

}  // namespace farol::http
