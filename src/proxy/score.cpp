#include "proxy/score.hpp"

namespace farol::proxy {

Score report_score(const ScoreInput& input, const ScoreConfig& config) {
  Score score;
  score.components.rtt = config.rtt_weight * input.rtt_ms / config.rtt_ideal_ms;
  score.components.tcp = config.tcp_weight * input.tcp / config.tcp_ideal;
  score.components.loss = config.loss_weight * input.loss / config.loss_ideal;
  score.components.cpu = config.cpu_weight * input.cpu / config.cpu_ideal;
  score.components.memory = config.memory_weight * input.memory / config.memory_ideal;
  score.saturated = input.cpu >= config.cpu_threshold || input.memory >= config.memory_threshold ||
                    input.loss >= config.loss_threshold;
  return score;
}

}  // namespace farol::proxy
