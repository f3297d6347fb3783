#include "common/limits.hpp"

#include <unistd.h>

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace farol;

namespace {

using Files = std::vector<std::string>;

ProcessLimits limits(std::size_t descriptors, std::size_t threads) { return {descriptors, threads, "pid_max"}; }

}  // namespace

TEST_CASE("limits: a connection costs two descriptors and its threads", "[limits]") {
  CHECK(capacity_within(limits(20'128, 1'000'000), 2, 0).connections == 10'000);
  CHECK(capacity_within(limits(1'000'000, 32'256), 2, 0).connections == 16'000);
  CHECK(capacity_within(limits(1'000'128, 0), 0, 0).connections == 500'000);  // a reactor needs no thread for it
}

TEST_CASE("limits: descriptors for pipes are set aside first, but at most an eighth", "[limits]") {
  const Capacity large = capacity_within(limits(20'640, 0), 0, 256);
  CHECK(large.pipes == 256);
  CHECK(large.connections == 10'000);
  const Capacity small = capacity_within(limits(1024, 0), 0, 256);
  CHECK(small.pipes == 64);
  CHECK(small.connections == (1024 - 128 - 128) / 2);
}

TEST_CASE("limits: the one that is met first is named with its value", "[limits]") {
  CHECK(capacity_within(limits(1024, 32'768), 2, 0).bound_by == "ulimit -n: 1024");
  CHECK(capacity_within(limits(1'000'000, 32'768), 2, 0).bound_by == "pid_max: 32768 threads");
  CHECK(capacity_within(limits(1'000'000, 32'768), 0, 0).bound_by == "ulimit -n: 1000000");
}

TEST_CASE("limits: one connection always fits", "[limits]") {
  CHECK(capacity_within(limits(0, 0), 2, 256).connections == 1);
  CHECK(capacity_within(limits(128, 256), 2, 256).connections == 1);
}

TEST_CASE("limits: a control group's tasks are limited by its own file and by those above", "[limits]") {
  CHECK(task_limit_files("0::/system.slice/farol.service\n") ==
        Files{"/sys/fs/cgroup/system.slice/farol.service/pids.max", "/sys/fs/cgroup/system.slice/pids.max",
              "/sys/fs/cgroup/pids.max"});
  CHECK(task_limit_files("0::/\n") == Files{"/sys/fs/cgroup/pids.max"});
  CHECK(task_limit_files("9:memory:/x\n8:cpu,pids:/a\n1:name=systemd:/b\n") ==
        Files{"/sys/fs/cgroup/pids/a/pids.max", "/sys/fs/cgroup/pids/pids.max"});
  for (const char* odd : {"", "\n\n", "nonsense", "0:", "0::", "8:pids", "0::relative"}) {
    CAPTURE(odd);
    CHECK(task_limit_files(odd).size() <= 1);
  }
}

TEST_CASE("limits: this process has some, and all the descriptors that it may have", "[limits]") {
  const ProcessLimits here = raise_and_read_limits(::geteuid());
  CHECK(here.threads > 0);
  CHECK_FALSE(here.threads_by.empty());
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  CHECK(files.rlim_cur == files.rlim_max);
  CHECK(here.descriptors == files.rlim_cur);
}
