#pragma once

#include <optional>
#include <string>

#include "common/log.hpp"
#include "monitor/load_sampler.hpp"
#include "monitor/socket_watch.hpp"
#include "monitoring/packet.hpp"

namespace farol::monitor {

/// Where the figures of an answer come from.
struct LoadSource {
  std::uint16_t service_port = 80;
  std::optional<monitoring::Load> fixed;  ///< the report's modified agent (its Test 2)
  std::string file;                       ///< read anew for each answer; empty: measure

  /// Who dictates the figures wants no count of connections.
  [[nodiscard]] bool dictated() const { return fixed.has_value() || !file.empty(); }
};

/// What an answer says about this machine.
struct LoadReport {
  monitoring::Load load;
  bool listening = true;
  Duration age{};  ///< of what it says about the service's sockets; the rest is measured for this answer
};

/// Puts the figures together: measured, or dictated by the operator. Whether the service listens is always measured.
/// Not thread-safe: belongs to the thread that answers probes. Borrows `sockets` and `log`, which must outlive it.
class LoadReporter {
 public:
  /// Throws StartError when the file cannot be used, std::system_error when /proc cannot be read.
  LoadReporter(LoadSource source, const SocketWatch& sockets, TimePoint now, const Logger& log);

  [[nodiscard]] const CpuBaseline& at_start() const { return sampler_.at_start(); }
  [[nodiscard]] std::string limits_text() { return sampler_.limits_text(); }
  /// The report for the proxy that `baseline` belongs to; moves the baseline.
  LoadReport report(CpuBaseline& baseline, TimePoint now);

 private:
  monitoring::Load load(const ServiceSockets& sockets, CpuBaseline& baseline, TimePoint now);
  monitoring::Load from_file(TimePoint now);

  const LoadSource source_;
  const SocketWatch& sockets_;
  const Logger& log_;
  LoadSampler sampler_;
  monitoring::Load last_from_file_;
  RateLimit file_trouble_{std::chrono::seconds(10)};
};

}  // namespace farol::monitor
