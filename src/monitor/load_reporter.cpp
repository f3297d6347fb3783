#include "monitor/load_reporter.hpp"

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

LoadReporter::LoadReporter(LoadSource source, TimePoint now, const Logger& log)
    : source_(std::move(source)), log_(log), sampler_(now), tcp_(source_.service_port, log) {
  if (!source_.file.empty()) last_from_file_ = read_report(source_.file);
}

LoadReport LoadReporter::report(CpuBaseline& baseline, TimePoint now) {
  // Who dictates the figures wants no count of connections, and looking at every socket of the machine would take
  // milliseconds that the proxy sees as distance.
  if (source_.fixed) {
    const monitoring::Load& load = *source_.fixed;
    log_.debug("fixed report",
               {{"cpu", load.cpu / 100.0, 0}, {"mem", load.memory / 100.0, 0}, {"tcp", load.tcp_machine}});
    return {load, tcp_.listening()};
  }
  if (!source_.file.empty()) return {from_file(now), tcp_.listening()};
  const ServiceSockets sockets = tcp_.count(now);
  LoadReport report;
  report.load.cpu = sampler_.cpu(baseline, now);
  report.load.memory = sampler_.memory();
  report.load.tcp_machine = sampler_.tcp_connections();
  report.load.tcp_service = sockets.established;
  report.listening = sockets.listening;
  return report;
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
