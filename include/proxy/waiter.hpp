#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.hpp"
#include "proxy/decision.hpp"
#include "proxy/policy.hpp"

namespace farol::proxy {

class Backend;

/// Who wants a connection.
struct Request {
  std::span<const std::uint64_t> tried;         ///< ids to leave out
  TimePoint now{};
  std::uint64_t client = 0;                     ///< hash of its address
  std::vector<Explained>* explained = nullptr;  ///< where every candidate's figures go, if anybody wants them
  bool no_last_resort = false;                  ///< those that were tried are as well as they were
};

/// Who gets it.
struct Choice {
  Backend* backend = nullptr;
  double score = 0;
  double runner_up = kNotNow;
};

/// A client in the queue of a pool. Belongs to its session, which must take it out (Pool::leave) before it goes.
class Waiter {
 public:
  explicit Waiter(const Request& wanted) : request(wanted) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // The pool's, under its lock.
  Request request;
  std::optional<Choice> choice;          ///< once there is one; it has left the queue then
  std::list<Waiter*>::iterator place{};  ///< in the queue
  /// A choice was made for it. Under the pool's lock, on any thread: must be short.
  virtual void chosen() noexcept = 0;

 protected:
  ~Waiter() = default;
};

}  // namespace farol::proxy
