#pragma once

#include <optional>
#include <string>

#include "proxy/config.hpp"

namespace farol::proxy {

/// The flag that is different and that a running proxy cannot change; nothing when it can go over from `now` to `next`.
std::optional<std::string> needs_restart(const Config& now, const Config& next);

}  // namespace farol::proxy
