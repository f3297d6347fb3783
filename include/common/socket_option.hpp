#pragma once

#include <cstdint>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"

namespace farol {

/// Small truths about sockets that more than one layer needs. Any thread.

/// The pending error (SO_ERROR), cleared by the call: the outcome of a connect.
int socket_error(const Fd& socket);

/// How many bytes the peer has acknowledged so far (TCP_INFO); 0 when the kernel does not say.
std::uint64_t acknowledged_bytes(const Fd& socket);

/// Has the kernel ask an idle peer whether it is still there: first after half of `limit`, then each sixth, in whole
/// seconds. Set on a listening socket it is inherited by all that are accepted from it. Three system calls.
void probe_when_idle(const Fd& socket, Duration limit);

/// What the kernel knows of a peer that says nothing.
struct Silence {
  Duration lasts{};         ///< nothing has come for this long, not even an acknowledgement
  bool unanswered = false;  ///< though it was asked more than once: bytes were sent again, or probes were
};
Silence silence_of(const Fd& socket);

/// `no_resources`: this machine's, which says nothing of the target.
enum class ConnectStart { done, pending, refused, unreachable, no_resources };
/// Starts a connect on a non-blocking socket; `pending` is decided when it turns writable.
ConnectStart start_connect(const Fd& socket, const Address& target);

}  // namespace farol
