#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"

namespace farol {

/// A listening TCP socket (dual stack on the IPv6 wildcard). TCP_NODELAY and keepalive are set here and inherited by
/// every accepted socket, which saves system calls per connection. TCP_DEFER_ACCEPT is not: servers may speak first.
/// Thread safety: any number of threads may accept at once; close_listening() from any thread.
class Listener {
 public:
  /// Throws StartError: "cannot listen on 0.0.0.0:80: Address already in use", with the way out where there is one:
  /// `try_instead` is what to start the program with on a machine that keeps low ports to itself.
  explicit Listener(const Address& address, std::string_view try_instead = {});

  /// Another socket on the same address, for another reactor: the kernel spreads new clients over all of them
  /// (SO_REUSEPORT, which is set only now, so that a port taken by someone else was noticed).
  [[nodiscard]] Listener twin() const;
  void set_non_blocking() const;
  /// Clients that are accepted from here on, here or on a twin yet to be made, are asked whether they are still there
  /// when they are silent (probe_when_idle()).
  void probe_idle_clients(Duration limit);

  /// Gives the socket to another user: the kernel lets only one user's sockets share an address (SO_REUSEPORT).
  void give_to(uid_t user) const;

  /// The address it really listens on (port 0 resolved).
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  enum class Outcome { accepted, again, out_of_resources, closed };
  enum class Mode { blocking, non_blocking };
  /// What an error of accept(2) means; 0 is none.
  static Outcome outcome_of(int error);
  /// The next client, its socket in the given mode. Blocks unless set_non_blocking(). `again`: nobody there, or gone
  /// already; `out_of_resources`: pause, then retry.
  Outcome accept(Fd& socket, Address& peer, Mode mode = Mode::blocking) const;

  /// No more clients, at once: every blocked accept returns `closed`, new connections are refused.
  void close_listening() const;

 private:
  Listener() = default;
  void bind_and_listen(std::string_view try_instead);

  Address address_;
  Fd fd_;
  Duration probe_limit_{};  ///< zero: as the system does it
};

}  // namespace farol
