#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "monitor/load_figures.hpp"

namespace farol::monitor {

/// CPU of a control group with a quota.
struct CgroupCpu {
  double cpus = 0;             ///< what the quota allows, in CPUs
  std::uint64_t usage_us = 0;  ///< CPU time used since the group exists, in microseconds
};

/// The limits of the control groups that this process is in, v2 (cgroups(7), cpu.max and memory.max) or v1
/// (cpu.cfs_quota_us and memory.limit_in_bytes): of its own group and all above it that can be seen, the tightest limit
/// counts, with the use of the group that has it. In a container that is the container.
/// Finds the groups once, reads the limits anew each time (they can be changed under a running container).
/// Not thread-safe: belongs to the thread that samples.
class Cgroup {
 public:
  /// `root` stands before every path: tests put a tree of their own there.
  explicit Cgroup(std::string root = "");

  /// Empty when no group limits CPU below `online_cpus`.
  [[nodiscard]] std::optional<CgroupCpu> cpu(double online_cpus) const;
  /// Empty when no group limits memory below `machine_bytes`. Used: without what the kernel can drop at once
  /// (inactive page cache).
  [[nodiscard]] std::optional<Memory> memory(std::uint64_t machine_bytes) const;

 private:
  /// One controller's groups: directories from our own group up to the root that is mounted here.
  struct Levels {
    bool v2 = false;
    std::string mount;                ///< where the hierarchy is mounted
    std::vector<std::string> groups;  ///< below `mount`, our own first: "/a/b", "/a", ""
  };
  [[nodiscard]] Levels find(const std::string& controller) const;
  [[nodiscard]] std::optional<double> quota(const std::string& group) const;
  [[nodiscard]] std::optional<std::uint64_t> usage_us(const std::string& group) const;

  const std::string root_;
  Levels cpu_;
  Levels cpuacct_;  ///< v1 only: the usage may have a hierarchy of its own
  Levels memory_;
};

}  // namespace farol::monitor
