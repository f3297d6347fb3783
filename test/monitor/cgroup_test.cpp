#include "monitor/cgroup.hpp"

#include <catch2/catch.hpp>

#include "monitor/fake_tree.hpp"

using namespace farol::monitor;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kMachine = 8192 * kMiB;
constexpr double kCpus = 4;

/// A process in the v2 group /shop/web of a machine, or of a container that sees only /shop.
void put_v2(const FakeTree& tree, const std::string& mounted_root = "/") {
  tree.put("/proc/self/cgroup", "0::/shop/web\n");
  tree.put("/proc/self/mountinfo",
           "22 27 0:21 / /proc rw - proc proc rw\n"
           "31 23 0:28 " +
               mounted_root + " /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
}

/// A v1 machine that limits and accounts in one hierarchy.
void put_v1(const FakeTree& tree) {
  tree.put("/proc/self/cgroup", "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/docker/abc\n");
  tree.put("/proc/self/mountinfo",
           "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
           "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro master:3 - cgroup cgroup rw,memory\n"
           "41 31 0:38 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n");
}

}  // namespace

TEST_CASE("Cgroup: without control groups there are no limits", "[cgroup]") {
  const FakeTree tree;
  const Cgroup none(tree.root());
  CHECK_FALSE(none.cpu(kCpus));
  CHECK_FALSE(none.memory(kMachine));
}

TEST_CASE("Cgroup: v2 limits of our own group", "[cgroup]") {
  const FakeTree tree;
  put_v2(tree);
  tree.put("/sys/fs/cgroup/shop/web/cpu.max", "50000 100000\n");
  tree.put("/sys/fs/cgroup/shop/web/cpu.stat", "usage_usec 123456\nuser_usec 1\nsystem_usec 2\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.max", std::to_string(64 * kMiB) + "\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.current", std::to_string(48 * kMiB) + "\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.stat",
           "anon 1\ninactive_anon 5\ninactive_file " + std::to_string(16 * kMiB) + "\n");
  const Cgroup cgroup(tree.root());
  const auto cpu = cgroup.cpu(kCpus);
  REQUIRE(cpu);
  CHECK(cpu->cpus == Approx(0.5));
  CHECK(cpu->usage_us == 123456);
  CHECK(cgroup.memory(kMachine) == Memory{64 * kMiB, 32 * kMiB});
}

TEST_CASE("Cgroup: the tightest limit on the way up counts, with the use of the group that has it", "[cgroup]") {
  const FakeTree tree;
  put_v2(tree);
  tree.put("/sys/fs/cgroup/shop/web/cpu.max", "200000 100000\n");
  tree.put("/sys/fs/cgroup/shop/web/cpu.stat", "usage_usec 10\n");
  tree.put("/sys/fs/cgroup/shop/cpu.max", "100000 100000\n");
  tree.put("/sys/fs/cgroup/shop/cpu.stat", "usage_usec 99\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.max", "max\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.current", "5\n");
  tree.put("/sys/fs/cgroup/shop/memory.max", std::to_string(kMiB) + "\n");
  tree.put("/sys/fs/cgroup/shop/memory.current", "1000\n");
  const Cgroup cgroup(tree.root());
  CHECK(cgroup.cpu(kCpus)->cpus == Approx(1.0));
  CHECK(cgroup.cpu(kCpus)->usage_us == 99);
  CHECK(cgroup.memory(kMachine) == Memory{kMiB, 1000});
}

TEST_CASE("Cgroup: a limit above the machine is none, and 'max' is none", "[cgroup]") {
  const FakeTree tree;
  put_v2(tree);
  tree.put("/sys/fs/cgroup/shop/web/cpu.max", "max 100000\n");
  tree.put("/sys/fs/cgroup/shop/cpu.max", "800000 100000\n");
  tree.put("/sys/fs/cgroup/shop/cpu.stat", "usage_usec 99\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.max", std::to_string(2 * kMachine) + "\n");
  tree.put("/sys/fs/cgroup/shop/web/memory.current", "5\n");
  const Cgroup cgroup(tree.root());
  CHECK_FALSE(cgroup.cpu(kCpus));
  CHECK_FALSE(cgroup.memory(kMachine));
}

TEST_CASE("Cgroup: a container that sees a part of the hierarchy as the whole", "[cgroup]") {
  const FakeTree tree;
  put_v2(tree, "/shop");
  tree.put("/sys/fs/cgroup/web/memory.max", "4096\n");
  tree.put("/sys/fs/cgroup/web/memory.current", "5000\n");
  CHECK(Cgroup(tree.root()).memory(kMachine) == Memory{4096, 4096});
}

TEST_CASE("Cgroup: limits changed under a running agent are seen", "[cgroup]") {
  const FakeTree tree;
  put_v2(tree);
  tree.put("/sys/fs/cgroup/shop/web/cpu.stat", "usage_usec 1\n");
  const Cgroup cgroup(tree.root());
  CHECK_FALSE(cgroup.cpu(kCpus));
  tree.put("/sys/fs/cgroup/shop/web/cpu.max", "100000 100000\n");
  CHECK(cgroup.cpu(kCpus));
}

TEST_CASE("Cgroup: v1 limits of a container", "[cgroup]") {
  const FakeTree tree;
  put_v1(tree);
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct/", memory = "/sys/fs/cgroup/memory/memory.";
  tree.put(cpu + "cpu.cfs_quota_us", "150000\n");
  tree.put(cpu + "cpu.cfs_period_us", "100000\n");
  tree.put(cpu + "cpuacct.usage", "7000999\n");
  tree.put(memory + "limit_in_bytes", std::to_string(64 * kMiB) + "\n");
  tree.put(memory + "usage_in_bytes", std::to_string(60 * kMiB) + "\n");
  tree.put(memory + "stat", "inactive_file 1\ntotal_inactive_file " + std::to_string(20 * kMiB) + "\n");
  const Cgroup cgroup(tree.root());
  REQUIRE(cgroup.cpu(kCpus));
  CHECK(cgroup.cpu(kCpus)->cpus == Approx(1.5));
  CHECK(cgroup.cpu(kCpus)->usage_us == 7000);
  CHECK(cgroup.memory(kMachine) == Memory{64 * kMiB, 40 * kMiB});
}

TEST_CASE("Cgroup: v1 says -1 and a huge number for no limit", "[cgroup]") {
  const FakeTree tree;
  put_v1(tree);
  tree.put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  tree.put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  tree.put("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "1\n");
  tree.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  tree.put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
  const Cgroup cgroup(tree.root());
  CHECK_FALSE(cgroup.cpu(kCpus));
  CHECK_FALSE(cgroup.memory(kMachine));
}

TEST_CASE("Cgroup: v1 use accounted in another group than the limited one is not taken for its use", "[cgroup]") {
  const FakeTree tree;
  tree.put("/proc/self/cgroup", "2:cpuacct:/\n1:cpu:/limited\n");
  tree.put("/proc/self/mountinfo",
           "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
           "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n");
  tree.put("/sys/fs/cgroup/cpu/limited/cpu.cfs_quota_us", "50000\n");
  tree.put("/sys/fs/cgroup/cpu/limited/cpu.cfs_period_us", "100000\n");
  tree.put("/sys/fs/cgroup/cpuacct/cpuacct.usage", "1\n");
  CHECK_FALSE(Cgroup(tree.root()).cpu(kCpus));
}
