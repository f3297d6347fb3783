#include "monitor/load_sampler.hpp"

#include <catch2/catch.hpp>

#include "monitor/fake_tree.hpp"

using namespace farol;
using namespace farol::monitor;
using namespace std::chrono_literals;

namespace {

const TimePoint kStart{1h};

void put_machine(const FakeTree& tree, int busy, int idle) {
  tree.put("/proc/stat", "cpu  " + std::to_string(busy) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 0 0\n");
  tree.put("/proc/meminfo", "MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 110000 kB\n");
  tree.put("/proc/net/snmp", "Tcp: CurrEstab\nTcp: 5\n");
}

/// Two groups' worth of one CPU at most, of which `usage_us` is used.
void put_group(const FakeTree& tree, int usage_us) {
  tree.put("/proc/self/cgroup", "0::/\n");
  tree.put("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  tree.put("/sys/fs/cgroup/cpu.stat", "usage_usec " + std::to_string(usage_us) + "\n");
}

}  // namespace

TEST_CASE("busy_share: what was busy between two readings", "[load_sampler]") {
  CHECK(*busy_share({kStart, {100, 900}, {}}, {kStart + 1s, {117, 983}, {}}) == Approx(0.17));
  CHECK_FALSE(busy_share({kStart, {100, 900}, {}}, {kStart + 1s, {100, 900}, {}}));
}

TEST_CASE("busy_share: an idle counter that steps back does not make negative load", "[load_sampler]") {
  CHECK(*busy_share({kStart, {100, 900}, {}}, {kStart + 1s, {110, 890}, {}}) == Approx(1.0));
}

TEST_CASE("busy_share: in a limited group the share is of what the group may use", "[load_sampler]") {
  const CpuReading from{kStart, {0, 0}, CgroupCpu{0.5, 1'000'000}};
  CHECK(*busy_share(from, {kStart + 2s, {1, 99}, CgroupCpu{0.5, 1'250'000}}) == Approx(0.25));
  CHECK(*busy_share(from, {kStart + 2s, {1, 99}, CgroupCpu{0.5, 9'000'000}}) == Approx(1.0));
  CHECK(*busy_share(from, {kStart + 2s, {1, 99}, {}}) == Approx(0.01));  // the limit was lifted
}

TEST_CASE("LoadSampler: each proxy's share is since its own previous probe", "[load_sampler]") {
  const FakeTree tree;
  put_machine(tree, 0, 0);
  LoadSampler sampler(kStart, tree.root());
  CpuBaseline often = sampler.at_start(), seldom = sampler.at_start();
  put_machine(tree, 100, 0);
  CHECK(sampler.cpu(often, kStart + 1s) == 10000);
  put_machine(tree, 100, 100);
  CHECK(sampler.cpu(often, kStart + 2s) == 0);
  CHECK(sampler.cpu(seldom, kStart + 2s) == 5000);
}

TEST_CASE("LoadSampler: a probe right after another repeats its share and leaves the baseline", "[load_sampler]") {
  const FakeTree tree;
  put_machine(tree, 0, 0);
  LoadSampler sampler(kStart, tree.root());
  CpuBaseline baseline = sampler.at_start();
  put_machine(tree, 30, 70);
  CHECK(sampler.cpu(baseline, kStart + 1s) == 3000);
  put_machine(tree, 31, 70);
  CHECK(sampler.cpu(baseline, kStart + 1s + 99ms) == 3000);
  put_machine(tree, 40, 80);
  CHECK(sampler.cpu(baseline, kStart + 2s) == 5000);
}

TEST_CASE("LoadSampler: memory and connections of the machine", "[load_sampler]") {
  const FakeTree tree;
  put_machine(tree, 1, 1);
  LoadSampler sampler(kStart, tree.root());
  CHECK(sampler.memory() == 8900);
  CHECK(sampler.tcp_connections() == 5);
  CHECK(sampler.limits_text().empty());
}

TEST_CASE("LoadSampler: inside a limited group CPU and memory are the group's", "[load_sampler]") {
  const FakeTree tree;
  put_machine(tree, 0, 0);
  put_group(tree, 0);
  tree.put("/sys/fs/cgroup/memory.max", "1000\n");
  tree.put("/sys/fs/cgroup/memory.current", "400\n");
  LoadSampler sampler(kStart, tree.root());
  CpuBaseline baseline = sampler.at_start();
  put_machine(tree, 100, 0);
  put_group(tree, 100'000);
  CHECK(sampler.cpu(baseline, kStart + 1s) == 2000);
  CHECK(sampler.memory() == 4000);
  CHECK(sampler.limits_text() == "cpu=0.5 memory=1000");
}

TEST_CASE("LoadSampler: without /proc the agent does not start, and says which file", "[load_sampler]") {
  const FakeTree tree;
  CHECK_THROWS_WITH(LoadSampler(kStart, tree.root()), Catch::Contains("/proc/stat"));
}

TEST_CASE("LoadSampler: this very machine has figures in range", "[load_sampler]") {
  LoadSampler sampler(Clock::now());
  CHECK(sampler.memory() > 0);
  CHECK(sampler.memory() <= 10000);
}
