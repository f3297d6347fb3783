#include "monitor/load_figures.hpp"

#include <catch2/catch.hpp>

#include "common/error.hpp"

using namespace farol;
using namespace farol::monitor;
using Catch::Contains;

TEST_CASE("parse_cpu: waiting for a disk is idle, stolen time is busy, guests are not counted twice",
          "[load_figures]") {
  const auto ticks = parse_cpu("cpu  100 20 30 400 50 6 7 8 90 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
  REQUIRE(ticks);
  CHECK(ticks->busy == 100 + 20 + 30 + 6 + 7 + 8);
  CHECK(ticks->idle == 400 + 50);
}

TEST_CASE("parse_cpu: old kernels have fewer columns", "[load_figures]") {
  CHECK(parse_cpu("cpu 1 2 3 4\n") == CpuTicks{6, 4});
}

TEST_CASE("parse_cpu: anything else is no figure", "[load_figures]") {
  for (const char* text : {"", "cpu", "cpu 1 2", "cpu0 1 2 3 4", "cpu  a b c d", "intr 1 2 3 4", "cpu 1 2 3 -4"})
    CHECK_FALSE(parse_cpu(text));
}

TEST_CASE("parse_memory: used is what is not available", "[load_figures]") {
  const auto memory =
      parse_memory("MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:     250 kB\nBuffers: 1 kB\n");
  REQUIRE(memory);
  CHECK(memory->total == 1000 * 1024);
  CHECK(memory->used == 750 * 1024);
}

TEST_CASE("parse_memory: without both numbers there is no figure", "[load_figures]") {
  for (const char* text : {"", "MemTotal: 1000 kB\n", "MemAvailable: 1 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
                           "MemTotal: x kB\nMemAvailable: 1 kB\n"})
    CHECK_FALSE(parse_memory(text));
}

TEST_CASE("parse_established: finds CurrEstab by its name, wherever it stands", "[load_figures]") {
  CHECK(parse_established("Ip: Forwarding\nIp: 1\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 42 7\nUdp: A\nUdp: 1\n") ==
        42);
  CHECK(parse_established("Tcp: CurrEstab\nTcp: 9") == 9);
  for (const char* text : {"", "Tcp: CurrEstab\n", "Tcp: A B\nTcp: 1 2\n", "Tcp: A CurrEstab\nTcp: 1\n"})
    CHECK_FALSE(parse_established(text));
}

TEST_CASE("to_hundredths: shares are rounded and stay between 0 and 100 %", "[load_figures]") {
  CHECK(to_hundredths(0.17) == 1700);
  CHECK(to_hundredths(0.99999) == 10000);
  CHECK(to_hundredths(-0.1) == 0);
  CHECK(to_hundredths(1.5) == 10000);
}

TEST_CASE("parse_report: the report's modified agent (Test 2)", "[load_figures]") {
  const auto load = parse_report("cpu=100,mem=100,tcp=100");
  CHECK(load == monitoring::Load{10000, 10000, 100, 100});
}

TEST_CASE("parse_report: any order, fractions, a count of its own for the service, a trailing newline",
          "[load_figures]") {
  CHECK(parse_report(" service=3, tcp=7 ,mem=12.5,cpu=0\n") == monitoring::Load{0, 1250, 7, 3});
}

TEST_CASE("parse_report: what is wrong is named, with what would be right", "[load_figures]") {
  const auto refused = [](const char* text, const char* why) {
    CHECK_THROWS_AS(parse_report(text), UsageError);
    CHECK_THROWS_WITH(parse_report(text), Contains(why) && Contains("want cpu=0..100"));
  };
  refused("", "no 'cpu'");
  refused("cpu=1,mem=1", "no 'tcp'");
  refused("cpu=101,mem=1,tcp=1", "cpu='101' is not a percentage");
  refused("cpu=nan,mem=1,tcp=1", "cpu='nan'");
  refused("cpu=1,mem=-1,tcp=1", "mem='-1'");
  refused("cpu=1,mem=1,tcp=1.5", "tcp='1.5' is not a count");
  refused("cpu=1,mem=1,tcp=4294967296", "tcp='4294967296'");
  refused("cpu=1,cpu=2,mem=1,tcp=1", "'cpu' twice");
  refused("cpu=1,mem=1,tcp=1,disk=1", "unknown 'disk'");
  refused("cpu,mem=1,tcp=1", "cpu=''");
}
