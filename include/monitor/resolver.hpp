#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/log.hpp"
#include "common/stop_event.hpp"

namespace farol::monitor {

/// Turns the proxies of the command line into addresses, again and again, on a thread of its own: resolving blocks.
/// A name that does not resolve keeps the addresses it had, and is tried again soon. Owned by main; borrows `log`.
/// Thread safety: run() has one thread; finished() is for any.
class Resolver {
 public:
  static constexpr Duration kRefresh = std::chrono::seconds(30);
  static constexpr Duration kRetry = std::chrono::seconds(5);

  using Resolve = std::function<std::vector<Address>(const HostPort&)>;
  using Publish = std::function<void(const std::vector<Address>&)>;

  /// `publish` gets the addresses of all targets, without duplicates, on the thread of run(), whenever they change.
  Resolver(std::vector<HostPort> targets, Publish publish, const Logger& log, Resolve resolve = farol::resolve);

  /// Numeric targets are published before the first name is asked for.
  void run(const StopEvent& stop);
  /// Fires when run() has ended; the system's resolver cannot be interrupted.
  [[nodiscard]] const StopEvent& finished() const { return finished_; }

  /// One round over all names, published after each change. Returns whether all are resolved. run() does this.
  bool resolve_all();

 private:
  struct Target {
    HostPort name;
    std::vector<Address> addresses;
    std::string trouble;  ///< as last logged
  };
  bool resolve_one(Target& target);
  void publish_all();

  std::vector<Target> targets_;
  const Publish publish_;
  const Logger& log_;
  const Resolve resolve_;
  std::vector<Address> published_;
  StopEvent finished_;
};

}  // namespace farol::monitor
