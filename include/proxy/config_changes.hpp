#pragma once

#include <optional>
#include <string>

#include "proxy/config.hpp"

namespace farol::proxy {

/// The flag that is different and that a running proxy cannot change; nothing when it can go over from `now` to `next`.
std::optional<std::string> needs_restart(const Config& now, const Config& next);

/// Throws StartError unless this process, as who it is now, could read again what HUP reads: its files.
void check_files_readable(const Config& config);

}  // namespace farol::proxy
