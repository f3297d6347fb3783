#pragma once

#include <cstdint>

#include "common/address.hpp"
#include "common/fd.hpp"

namespace farol {

/// Small truths about sockets that more than one layer needs. Any thread.

/// The pending error (SO_ERROR), cleared by the call: the outcome of a connect.
int socket_error(const Fd& socket);

/// How many bytes the peer has acknowledged so far (TCP_INFO); 0 when the kernel does not say.
std::uint64_t acknowledged_bytes(const Fd& socket);

enum class ConnectStart { done, pending, failed };
/// Starts a connect on a non-blocking socket; `pending` is decided when it turns writable.
ConnectStart start_connect(const Fd& socket, const Address& target);

}  // namespace farol
