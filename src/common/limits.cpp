#include "common/limits.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace farol {
namespace {

constexpr std::size_t kDescriptorReserve = 128;
constexpr std::size_t kThreadReserve = 256;

/// What is there less what is kept.
std::size_t beyond(std::size_t have, std::size_t reserve) { return have > reserve ? have - reserve : 0; }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Takes a limit on threads if it is the lowest so far.
void lower(ProcessLimits& limits, std::size_t threads, const std::string& by) {
  if (threads >= limits.threads) return;
  limits.threads = threads;
  limits.threads_by = by;
}

/// The same for the number in a file of the kernel, of which a thread takes `each`. There may be none ("max", no such
/// file).
void lower_to_file(ProcessLimits& limits, const std::string& path, std::size_t each = 1) {
  std::ifstream file(path);
  std::size_t number = 0;
  if (file >> number) lower(limits, number / each, path);
}

}  // namespace

ProcessLimits raise_and_read_limits(uid_t user) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  ProcessLimits limits;
  limits.descriptors = static_cast<std::size_t>(files.rlim_cur);
  limits.threads = 4'194'304;
  limits.threads_by = "the kernel's most";
  lower_to_file(limits, "/proc/sys/kernel/threads-max");
  lower_to_file(limits, "/proc/sys/kernel/pid_max");
  lower_to_file(limits, "/proc/sys/vm/max_map_count", 2);  // a stack is a mapping with a guard page beside it
  for (const std::string& path : task_limit_files(text_of("/proc/self/cgroup"))) lower_to_file(limits, path);
  rlimit processes{};
  if (user != 0 && ::getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
    lower(limits, static_cast<std::size_t>(processes.rlim_cur), "ulimit -u");
  return limits;
}

std::vector<std::string> task_limit_files(std::string_view cgroups) {
  std::vector<std::string> files;
  while (!cgroups.empty()) {  // "0::/a/b" (version 2) or "8:cpu,pids:/a/b"
    const std::string_view line = cgroups.substr(0, cgroups.find('\n'));
    cgroups.remove_prefix(std::min(line.size() + 1, cgroups.size()));
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",pids,") == std::string::npos) continue;
    std::string group(line.substr(second + 1));
    if (group == "/") group.clear();
    for (;; group.erase(group.rfind('/'))) {
      files.push_back(fmt::format("/sys/fs/cgroup{}{}/pids.max", unified ? "" : "/pids", group));
      if (group.empty() || group.find('/') == std::string::npos) break;
    }
  }
  return files;
}

Capacity capacity_within(const ProcessLimits& limits, std::size_t threads_per_connection, std::size_t pipes_wanted) {
  Capacity fit;
  fit.pipes = std::min(pipes_wanted, limits.descriptors / 16);
  fit.connections = beyond(limits.descriptors, kDescriptorReserve + 2 * fit.pipes) / 2;
  fit.bound_by = fmt::format("ulimit -n: {}", limits.descriptors);
  if (threads_per_connection > 0) {
    const std::size_t with_threads = beyond(limits.threads, kThreadReserve) / threads_per_connection;
    if (with_threads < fit.connections) fit.bound_by = fmt::format("{}: {} threads", limits.threads_by, limits.threads);
    fit.connections = std::min(fit.connections, with_threads);
  }
  fit.connections = std::max<std::size_t>(fit.connections, 1);
  return fit;
}

}  // namespace farol
