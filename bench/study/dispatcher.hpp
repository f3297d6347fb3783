#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace farol::study {

/// One connection (or attempt) as its proxy sees it; destroyed when it ends. The proxy outlives it.
class Connection {
 public:
  virtual ~Connection() = default;
  [[nodiscard]] virtual std::size_t backend() const = 0;
  virtual void refused() {}    ///< the attempt failed; nothing else is told after this
  virtual void connected() {}
  virtual void asked() {}      ///< the client sent a request
  virtual void answered() {}   ///< its reply came
  virtual void broken() {}     ///< the back-end closed it before its first byte
};

/// A proxy that chooses: a policy with whatever it knows. Borrows the world, whose clock it lives by.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  /// Chooses a back-end that is none of `tried` and counts the connection there; nullptr: nobody is left.
  virtual std::unique_ptr<Connection> open(std::span<const std::size_t> tried) = 0;
  /// A back-end has come into being.
  virtual void join(std::size_t backend) = 0;
};

}  // namespace farol::study
