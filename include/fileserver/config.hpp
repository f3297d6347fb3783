#pragma once

#include <optional>
#include <string>

#include "common/address.hpp"
#include "common/program.hpp"

namespace farol::fileserver {

/// The command line of FastFileSrv, validated.
struct Config {
  CommonOptions common;
  HostPort gateway;
  std::string root = ".";
  std::string name;  ///< unique among the gateway's servers
};

/// Empty when --help or --version was asked for and has been printed. Throws UsageError.
std::optional<Config> parse_config(int argc, const char* const* argv);

/// This host's name and a random suffix, in the letters that a name may have.
std::string default_name();

}  // namespace farol::fileserver
