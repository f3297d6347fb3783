#include "monitor/cgroup.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

namespace farol::monitor {
namespace {

/// A whole small file; empty when it cannot be read.
std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> first_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;  // "max", "-1": no limit
  return value;
}

/// The number after `name` in "name number" lines.
std::optional<std::uint64_t> named_number(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  std::string key, value;
  while (lines >> key >> value)
    if (key == name) return first_number(value);
  return std::nullopt;
}

bool in_list(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

struct Mount {
  bool v2 = false;
  std::string root;  ///< which group of the hierarchy is mounted here
  std::string point;
};

/// The mount of a controller: its v1 hierarchy, else the v2 one. A line of mountinfo (proc(5)): id, parent, device,
/// root, mount point, options, optional fields, "-", type, source, super options.
std::optional<Mount> find_mount(const std::string& mountinfo, const std::string& controller) {
  std::optional<Mount> v2;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string skip, type, source, super_options;
    Mount mount;
    words >> skip >> skip >> skip >> mount.root >> mount.point;
    while (words >> skip && skip != "-") {
    }
    words >> type >> source >> super_options;
    if (type == "cgroup" && in_list(super_options, controller)) return mount;
    if (type == "cgroup2" && !v2) {
      mount.v2 = true;
      v2 = mount;
    }
  }
  return v2;
}

/// Our group in that hierarchy. A line of /proc/self/cgroup: number, controllers (none in v2), path.
std::string own_path(const std::string& self_cgroup, bool v2, const std::string& controller) {
  std::istringstream lines(self_cgroup);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? line.rfind("0::", 0) == 0 : in_list(controllers, controller)) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

Cgroup::Cgroup(std::string root)
    : root_(std::move(root)), cpu_(find("cpu")), cpuacct_(find("cpuacct")), memory_(find("memory")) {}

Cgroup::Levels Cgroup::find(const std::string& controller) const {
  const auto mount = find_mount(contents(root_ + "/proc/self/mountinfo"), controller);
  if (!mount) return {};
  std::string path = own_path(contents(root_ + "/proc/self/cgroup"), mount->v2, controller);
  // A container may see only its own part of the hierarchy, mounted as if it were the whole.
  if (mount->root != "/") {
    const bool below = path.rfind(mount->root + "/", 0) == 0;
    path = below ? path.substr(mount->root.size()) : "";
  }
  Levels levels{mount->v2, root_ + mount->point, {}};
  while (!path.empty() && path != "/") {
    levels.groups.push_back(path);
    path.resize(path.rfind('/'));
  }
  levels.groups.emplace_back();
  return levels;
}

std::optional<double> Cgroup::quota(const std::string& group) const {
  const std::string directory = cpu_.mount + group;
  std::optional<std::uint64_t> quota_us, period_us;
  if (cpu_.v2) {
    const std::string text = contents(directory + "/cpu.max");  // "max 100000" or "50000 100000"
    quota_us = first_number(text);
    if (const auto space = text.find(' '); space != std::string::npos) period_us = first_number(text.substr(space + 1));
  } else {
    quota_us = first_number(contents(directory + "/cpu.cfs_quota_us"));
    period_us = first_number(contents(directory + "/cpu.cfs_period_us"));
  }
  if (!quota_us || !period_us || *quota_us == 0 || *period_us == 0) return std::nullopt;
  return static_cast<double>(*quota_us) / static_cast<double>(*period_us);
}

std::optional<std::uint64_t> Cgroup::usage_us(const std::string& group) const {
  if (cpu_.v2) return named_number(contents(cpu_.mount + group + "/cpu.stat"), "usage_usec");
  // v1 may account in another hierarchy than it limits in; then only a group of the same name is the same group.
  if (std::find(cpuacct_.groups.begin(), cpuacct_.groups.end(), group) == cpuacct_.groups.end()) return std::nullopt;
  const auto ns = first_number(contents(cpuacct_.mount + group + "/cpuacct.usage"));
  if (!ns) return std::nullopt;
  return *ns / 1000;
}

std::optional<CgroupCpu> Cgroup::cpu(double online_cpus) const {
  std::optional<CgroupCpu> tightest;
  for (const std::string& group : cpu_.groups) {
    const auto cpus = quota(group);
    if (!cpus || *cpus >= (tightest ? tightest->cpus : online_cpus)) continue;
    if (const auto usage = usage_us(group)) tightest = CgroupCpu{*cpus, *usage};
  }
  return tightest;
}

std::optional<Memory> Cgroup::memory(std::uint64_t machine_bytes) const {
  std::optional<Memory> tightest;
  for (const std::string& group : memory_.groups) {
    const std::string directory = memory_.mount + group + "/memory.";
    const auto limit = first_number(contents(directory + (memory_.v2 ? "max" : "limit_in_bytes")));
    if (!limit || *limit == 0 || *limit >= (tightest ? tightest->total : machine_bytes)) continue;
    const auto used = first_number(contents(directory + (memory_.v2 ? "current" : "usage_in_bytes")));
    if (!used) continue;
    const auto droppable =
        named_number(contents(directory + "stat"), memory_.v2 ? "inactive_file" : "total_inactive_file").value_or(0);
    tightest = Memory{*limit, std::min(*limit, *used - std::min(*used, droppable))};
  }
  return tightest;
}

}  // namespace farol::monitor
