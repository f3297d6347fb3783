#include "monitor/load_reporter.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/error.hpp"

namespace farol::monitor {
namespace {

/// Throws StartError or UsageError naming the file.
monitoring::Load read_report(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw StartError("--report-from " + path + ": cannot read it (want one line: cpu=20,mem=50,tcp=3)");
  try {
    return parse_report(text.str());
  } catch (const UsageError& error) {
    throw StartError("--report-from " + path + ": " + error.what());
  }
}

}  // namespace

LoadReporter::LoadReporter(LoadSource source, const SocketWatch& sockets, TimePoint now, const Logger& log)
    : source_(std::move(source)), sockets_(sockets), log_(log), sampler_(now) {
  if (!source_.file.empty()) last_from_file_ = read_report(source_.file);
}

LoadReport LoadReporter::report(CpuBaseline& baseline, TimePoint now) {
  const SocketWatch::Count count = sockets_.latest();
  return {load(count.sockets, baseline, now), count.sockets.listening, std::max(Duration::zero(), now - count.at)};
}

monitoring::Load LoadReporter::load(const ServiceSockets& sockets, CpuBaseline& baseline, TimePoint now) {
  if (source_.fixed) {
    const monitoring::Load& fixed = *source_.fixed;
    log_.debug("fixed report",
               {{"cpu", fixed.cpu / 100.0, 0}, {"mem", fixed.memory / 100.0, 0}, {"tcp", fixed.tcp_machine}});
    return fixed;
  }
  if (!source_.file.empty()) return from_file(now);
  monitoring::Load load;
  load.cpu = sampler_.cpu(baseline, now);
  load.memory = sampler_.memory();
  load.tcp_machine = sampler_.tcp_connections();
  load.tcp_service = sockets.established;
  return load;
}

/// A file that cannot be read just now (it is being replaced) leaves the figures as they were.
monitoring::Load LoadReporter::from_file(TimePoint now) {
  try {
    last_from_file_ = read_report(source_.file);
  } catch (const StartError& error) {
    std::uint64_t suppressed = 0;
    if (file_trouble_.allow(now, suppressed))
      log_.warn("keeping the last load report", {{"error", error.what()}, {"suppressed", suppressed}});
  }
  return last_from_file_;
}

}  // namespace farol::monitor
