#include "proxy/weighted_config.hpp"

#include <algorithm>

namespace farol::proxy {

WeightedConfig WeightedConfig::for_interval(Duration probe_interval) {
  const Duration interval = std::max<Duration>(probe_interval, std::chrono::seconds(1));
  WeightedConfig config;
  config.cpu_tau = std::chrono::milliseconds(2500) + interval * 15 / 2;  // 10 s and 40 s
  config.rtt_tau = interval * 2;                                         // 2 s and 10 s
  config.foreign_tau = interval * 2;
  return config;
}

}  // namespace farol::proxy
