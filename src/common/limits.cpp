#include "common/limits.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string>

namespace farol {
namespace {

constexpr std::size_t kDescriptorReserve = 128;
constexpr std::size_t kThreadReserve = 256;

/// A number in a file of the kernel; `otherwise` when there is none ("max", no such file).
std::size_t read_number(const std::string& path, std::size_t otherwise) {
  std::ifstream file(path);
  std::size_t value = 0;
  return file >> value ? value : otherwise;
}

}  // namespace

ProcessLimits raise_and_read_limits() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  ProcessLimits limits;
  limits.descriptors = static_cast<std::size_t>(files.rlim_cur);
  limits.threads = 1'000'000;
  for (const char* path : {"/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max", "/sys/fs/cgroup/pids.max",
                           "/sys/fs/cgroup/pids/pids.max"})
    limits.threads = std::min(limits.threads, read_number(path, limits.threads));
  // Each thread's stack is a mapping with a guard page beside it.
  limits.threads = std::min(limits.threads, read_number("/proc/sys/vm/max_map_count", 65530) / 2);
  rlimit processes{};
  if (::getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
    limits.threads = std::min(limits.threads, static_cast<std::size_t>(processes.rlim_cur));
  return limits;
}

std::size_t connections_within(const ProcessLimits& limits, std::size_t threads_per_connection) {
  const auto beyond = [](std::size_t have, std::size_t reserve) { return have > reserve ? have - reserve : 0; };
  std::size_t fit = beyond(limits.descriptors, kDescriptorReserve) / 2;
  if (threads_per_connection > 0) fit = std::min(fit, beyond(limits.threads, kThreadReserve) / threads_per_connection);
  return std::max<std::size_t>(fit, 1);
}

}  // namespace farol
