#pragma once

#include "proxy/status.hpp"

namespace farol::proxy {

/// Why a back-end is in the state that it is in, in words for the operator. Pure.
const char* cause_of(const BackendStatus& backend);

}  // namespace farol::proxy
