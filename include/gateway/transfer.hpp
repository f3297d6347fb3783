#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "gateway/asks.hpp"
#include "gateway/replicas.hpp"
#include "gateway/status.hpp"
#include "gateway/window.hpp"

namespace farol::gateway {

/// Told that there is news of a transfer: its handler, asleep until then. Any thread.
class Waiter {
 public:
  virtual void ring() noexcept = 0;

 protected:
  ~Waiter() = default;
};

/// One request's file on its way to one client. A record that Fetcher keeps and Scheduler reads.
struct Transfer {
  Transfer(TransferId its_id, std::string path, Waiter& its_waiter, TimePoint now)
      : id(its_id), replicas(std::move(path)), waiter(&its_waiter), began(now), progress(now) {}

  const TransferId id;
  Replicas replicas;
  std::optional<Window> window;  ///< once it is known which bytes are wanted
  std::uint64_t first = 0;       ///< of these
  std::optional<Failure> failure;

  Waiter* waiter;
  bool starved = false;  ///< its reader waits: for the version, the next segment or the failure
  bool held_back = false;  ///< there is more to ask for, but the reader is too far behind
  const TimePoint began;
  TimePoint progress;    ///< when something of it last came
  unsigned in_flight = 0;
  std::set<ServerId> servers;    ///< that chunks came from
  std::uint64_t asked_again = 0;  ///< chunks that were lost or late

  [[nodiscard]] TransferStatus describe(TimePoint now) const {
    const std::uint64_t given = window ? window->position() - first : 0, wanted = window ? window->end() - first : 0;
    return {id, replicas.path(), now - began, window.has_value(), given, wanted, servers.size(), asked_again};
  }
  [[nodiscard]] bool running() const { return window && !failure && !window->finished(); }
};

}  // namespace farol::gateway
