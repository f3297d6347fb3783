#pragma once

#include <string>

#include "proxy/status.hpp"

namespace farol::proxy {

/// Why a back-end is in the state that it is in, in words for the operator. Pure.
const char* cause_of(const BackendStatus& backend);

/// How one must have gone that looked like this when it was last seen. Pure.
const char* farewell_of(const BackendStatus& backend);

/// That its pool is no listener's, for the log. Pure.
const char* words_of_unserved(const std::string& pool);

}  // namespace farol::proxy
