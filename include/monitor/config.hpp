#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/program.hpp"
#include "monitor/load_reporter.hpp"
#include "monitoring/packet.hpp"

namespace farol::monitor {

/// The command line of monitorUDP, validated.
struct Config {
  CommonOptions common;
  Duration interval{};
  std::vector<HostPort> proxies;
  Address bind = Address::any(monitoring::kDefaultPort);
  std::string pool{monitoring::kDefaultPool};
  std::string key_file;  ///< empty: unsigned
  LoadSource load;
};

/// Empty when --help or --version was asked for and has been printed. Throws UsageError.
std::optional<Config> parse_config(int argc, const char* const* argv);

}  // namespace farol::monitor
