#include "common/process_metrics.hpp"

namespace farol {

void add_process_metrics(MetricsPage& page, const std::string& prefix, const ProcessFigures& process,
                         std::chrono::system_clock::time_point started, Duration uptime) {
  using enum MetricType;
  const auto add = [&](const char* name, MetricType type, const char* help, auto value) {
    page.single(prefix + name, type, help, static_cast<double>(value));
  };
  add("_start_time_seconds", gauge, "When it was started, since the epoch.",
      std::chrono::duration<double>(started.time_since_epoch()).count());
  add("_uptime_seconds", gauge, "How long it has run.", to_seconds(uptime));
  add("_cpu_seconds_total", counter, "CPU time it has used.", process.cpu_seconds);
  add("_resident_memory_bytes", gauge, "Memory it holds.", process.resident_bytes);
  add("_virtual_memory_bytes", gauge, "Addresses it has mapped.", process.virtual_bytes);
  add("_open_fds", gauge, "Descriptors it has open.", process.open_descriptors);
  add("_max_fds", gauge, "Descriptors it may have open.", process.most_descriptors);
  add("_threads", gauge, "Threads it has.", process.threads);
}

}  // namespace farol
