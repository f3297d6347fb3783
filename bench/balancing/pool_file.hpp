#pragma once

#include <istream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/address.hpp"

namespace farol::balancing {

/// One emulated back-end, as the driver describes it.
struct BackendSpec {
  Address service;         ///< where it serves
  Address agent;           ///< where it answers HAProxy's agent-check
  std::string report;      ///< file that a monitorUDP reads with --report-from; "-": none
  double cores = 1, speed = 1, shows = 1, wait_scale = 1;
  bool up = true;
};

/// What happens to a back-end, `at` seconds after the start.
struct Action {
  double at = 0;
  std::size_t backend = 0;
  std::string what;  ///< speed, stolen, shows, sink, foreign (each with a value); lie idle|full|none; up; down
  std::string value;
  [[nodiscard]] double number() const { return std::stod(value); }
};

struct PoolSpec {
  std::vector<BackendSpec> backends;
  std::vector<Action> actions;  ///< in the order of time
  double cpu_window = 1;        ///< seconds over which the figures are means
};

/// Reads lines of words:
///   backend SERVICE AGENT REPORT CORES SPEED SHOWS WAIT_SCALE UP
///   at SECONDS BACKEND WHAT [VALUE]
///   window SECONDS
/// Throws std::runtime_error with the line.
inline PoolSpec read_pool(std::istream& file) {
  PoolSpec pool;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    if (!(words >> kind)) continue;
    if (kind == "backend") {
      BackendSpec& backend = pool.backends.emplace_back();
      std::string service, agent;
      words >> service >> agent >> backend.report >> backend.cores >> backend.speed >> backend.shows >>
          backend.wait_scale >> backend.up;
      backend.service = Address::parse(service).value();
      backend.agent = Address::parse(agent).value();
    } else if (kind == "at") {
      Action& action = pool.actions.emplace_back();
      words >> action.at >> action.backend >> action.what;
      if (words) words >> action.value || (words.clear(), true);
      if (action.backend >= pool.backends.size()) throw std::runtime_error("no such back-end: " + line);
    } else if (kind == "window") {
      words >> pool.cpu_window;
    } else {
      throw std::runtime_error("neither backend, at nor window: " + line);
    }
    if (!words) throw std::runtime_error("words missing: " + line);
  }
  return pool;
}

}  // namespace farol::balancing
