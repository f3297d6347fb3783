#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/engine.hpp"
#include "common/program.hpp"

namespace farol::gateway {

/// The command line of HttpGw, understood and checked.
struct Config {
  CommonOptions common;
  Address listen;                ///< HTTP on TCP and the file protocol on UDP, same number
  std::optional<Address> admin;  ///< empty: off
  std::vector<std::string> admin_names;  ///< that the admin endpoint may be called by
  std::vector<Cidr> allow;       ///< who may register; empty: private_ranges()
  EngineKind engine = EngineKind::threads;
  std::size_t workers = 0;  ///< reactors
  Duration drain_timeout = std::chrono::seconds(30);
};

/// Throws UsageError. With a value: the program is done (--help, --version).
std::optional<int> parse_config(int argc, const char* const* argv, Config& config);

}  // namespace farol::gateway
