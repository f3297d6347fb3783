#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "monitor/cgroup.hpp"
#include "monitor/load_figures.hpp"

namespace farol::monitor {

/// The CPU's counters at one moment: of the machine, and of the control group when that has a limit.
struct CpuReading {
  TimePoint at{};
  CpuTicks machine;
  std::optional<CgroupCpu> cgroup;
};

/// Busy share (0..1) between two readings: of what the control group may use when both have one, else of the machine.
/// Empty when nothing can be said, because no time has passed. Pure.
std::optional<double> busy_share(const CpuReading& from, const CpuReading& to);

/// What one proxy was last told about the CPU: the share is always "since this proxy's previous probe", so every proxy
/// has one of its own.
struct CpuBaseline {
  CpuReading from;
  std::uint16_t share = 0;  ///< 1/100 %, repeated to a probe that comes within kShortestWindow
};

/// A file of /proc, opened once and read from its start again and again.
class ProcFile {
 public:
  /// Throws std::system_error naming the file. Reads at most `limit` bytes.
  ProcFile(const std::string& path, std::size_t limit);
  /// Valid until the next read; empty when the read fails.
  [[nodiscard]] std::string_view read();

 private:
  Fd fd_;
  std::vector<char> buffer_;
};

/// Samples CPU, memory and the machine's TCP connections; inside a control group with a limit, CPU and memory are the
/// group's. Not thread-safe: belongs to the thread that answers probes.
class LoadSampler {
 public:
  /// Two probes closer than this get the same CPU share: the kernel counts ticks of some 10 ms.
  static constexpr Duration kShortestWindow = std::chrono::milliseconds(100);

  /// Throws std::system_error when /proc cannot be read. `root` stands before every path (tests).
  LoadSampler(TimePoint now, const std::string& root = "");

  /// A baseline for a proxy that has not probed before: the agent's start.
  [[nodiscard]] const CpuBaseline& at_start() const { return at_start_; }
  /// Busy share since the baseline in 1/100 %; moves the baseline to now.
  std::uint16_t cpu(CpuBaseline& baseline, TimePoint now);
  /// Used memory in 1/100 %.
  std::uint16_t memory();
  std::uint32_t tcp_connections();

  /// The limits found at the start, for the log: "cpu=0.5 memory=67108864", empty without any.
  [[nodiscard]] std::string limits_text();

 private:
  CpuReading read_cpu(TimePoint now);

  const double online_cpus_;
  ProcFile stat_;
  ProcFile meminfo_;
  ProcFile snmp_;
  const Cgroup cgroup_;
  CpuTicks last_ticks_;
  CpuBaseline at_start_;
};

}  // namespace farol::monitor
