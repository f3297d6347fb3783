#pragma once

#include <functional>
#include <string>

#include "common/log.hpp"

namespace farol {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr int kExitUsage = 64;  ///< EX_USAGE: the command line or the configuration is wrong
inline constexpr int kExitCannotStart = 1;

/// The flags that every program has (common/options.hpp adds them to its command line).
struct CommonOptions {
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  bool check_config = false;
  std::string config_file;          ///< behind --config; empty: none
  bool ignore_config_file = false;  ///< takes the command line for all there is
};

/// main() of every program: runs `body` and turns its errors into one line on stderr and the contract's exit codes.
int run_program(const char* name, const std::function<int()>& body);

}  // namespace farol
