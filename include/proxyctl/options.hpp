#pragma once

#include <string>

#include "common/clock.hpp"
#include "common/program.hpp"

namespace farol::proxyctl {

/// What stands on proxyctl's command line, for all of its commands.
struct Options {
  CommonOptions common;
  std::string admin = "http://127.0.0.1:8404";
  std::string token_file;
  bool json = false;
  std::string backend;
  std::string state;  ///< to set: drain, ready or maint
  bool closes = false;
  Duration close_over{};
  Duration interval = std::chrono::seconds(1);  ///< of top
  int key_id = 1;
  int decisions = 1;
  bool strict = false;  ///< warnings count
};

}  // namespace farol::proxyctl
