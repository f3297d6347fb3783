#pragma once

#include "common/address.hpp"
#include "common/fd.hpp"

namespace farol {

/// Small truths about sockets that more than one layer needs. Any thread.

/// The pending error (SO_ERROR), cleared by the call: the outcome of a connect.
int socket_error(const Fd& socket);

enum class ConnectStart { done, pending, failed };
/// Starts a connect on a non-blocking socket; `pending` is decided when it turns writable.
ConnectStart start_connect(const Fd& socket, const Address& target);

}  // namespace farol
