#include "proxy/config_changes.hpp"

#include "common/privileges.hpp"

namespace farol::proxy {

std::optional<std::string> needs_restart(const Config& now, const Config& next) {
  if (now.engine != next.engine) return "--engine";
  if (now.workers != next.workers) return "--workers";
  if (now.monitor_listen != next.monitor_listen) return "--monitor-listen";
  if (now.admin != next.admin) return "--admin";
  if (now.user != next.user) return "--user";
  if (now.state_file != next.state_file) return "--state-file";
  if (now.common.log_format != next.common.log_format) return "--log-format";
  return std::nullopt;
}

void check_files_readable(const Config& config) {
  if (!config.key_file.empty()) check_readable(config.key_file, "key file");
  if (!config.admin_token_file.empty()) check_readable(config.admin_token_file, "token file");
  if (!config.common.config_file.empty()) check_readable(config.common.config_file, "configuration file");
}

}  // namespace farol::proxy
