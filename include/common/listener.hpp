#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/inherited_sockets.hpp"
#include "common/mutex.hpp"

namespace farol {

/// A listening TCP socket (dual stack on the IPv6 wildcard). TCP_NODELAY and keepalive are set here and inherited by
/// every accepted socket, which saves system calls per connection. TCP_DEFER_ACCEPT is not: servers may speak first.
/// Thread safety: any number of threads may accept at once; close_listening() from any thread.
class Listener {
 public:
  /// Throws StartError: "cannot listen on 0.0.0.0:80: Address already in use", with the way out where there is one:
  /// `try_instead` is what to start the program with on a machine that keeps low ports to itself.
  /// Where `inherited` has the address, its sockets are taken instead of new ones.
  explicit Listener(const Address& address, std::string_view try_instead = {}, InheritedSockets* inherited = nullptr);

  /// What to say of an address that another listener of the same program keeps this one from.
  static std::string own_in_the_way(const Address& wanted, const Address& own);

  /// Another socket on the same address, for another reactor: the kernel spreads new clients over all of them
  /// (SO_REUSEPORT, which is set only now, so that a port taken by someone else was noticed). Made when it is first asked
  /// for, kept and closed with this one. The 0th is this one. One that was inherited has the twins that were inherited with
  /// it; for any other it stands in itself. Throws StartError.
  [[nodiscard]] const Listener& twin(std::size_t number) const;
  /// So many sockets there are: this one and its twins so far.
  [[nodiscard]] std::size_t sockets() const;
  /// Their descriptors, to be handed on.
  [[nodiscard]] std::vector<int> descriptors() const;
  /// Whether accept() waits; not that of the twins. It goes with the socket, not with the process.
  void set_blocking(bool on) const;
  /// Clients that are accepted from here on, here or on a twin, are asked whether they are still there when they are
  /// silent (probe_when_idle()). Zero: as seldom as the system does it.
  void probe_idle_clients(Duration limit) const;

  /// Gives the socket to another user: the kernel lets only one user's sockets share an address (SO_REUSEPORT).
  void give_to(uid_t user) const;

  /// The address it really listens on (port 0 resolved).
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  enum class Outcome { accepted, again, out_of_resources, closed };
  enum class Mode { blocking, non_blocking };
  /// What an error of accept(2) means; 0 is none.
  static Outcome outcome_of(int error);
  /// The next client, its socket in the given mode. Blocks unless told otherwise. `again`: nobody there, or gone
  /// already; `out_of_resources`: pause, then retry.
  Outcome accept(Fd& socket, Address& peer, Mode mode = Mode::blocking) const;

  /// Other processes accept on it, now or when this one is gone: close_listening() leaves it alone.
  [[nodiscard]] bool kept() const { return kept_; }
  void set_kept(bool kept) const { kept_ = kept; }

  /// No more clients, at once, here and on every twin: each blocked accept returns `closed`, new connections are refused.
  void close_listening() const;

 private:
  Listener() = default;
  void adopt(std::vector<Fd> sockets);
  void prepare();
  [[nodiscard]] std::unique_ptr<Listener> make_twin() const;
  void bind_and_listen(std::string_view try_instead);

  Address address_;
  Fd fd_;
  bool inherited_ = false;
  mutable std::atomic<bool> kept_{false};

  mutable Mutex mutex_;
  mutable std::vector<std::unique_ptr<Listener>> twins_ GUARDED_BY(mutex_);
  mutable std::optional<Duration> probe_limit_ GUARDED_BY(mutex_);
};

}  // namespace farol
