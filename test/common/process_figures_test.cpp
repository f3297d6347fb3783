#include "common/process_figures.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "common/fd.hpp"
#include "common/thread.hpp"
#include "common/stop_event.hpp"

using namespace farol;

TEST_CASE("process figures: read from /proc/PID/stat, whatever the program is called", "[process]") {
  ProcessFigures figures;
  read_process_stat(
      "42 (evil) R 1 (x) S 1 42 42 0 -1 4194560 1000 0 0 0 250 150 7 8 20 0 17 0 987654 84578304 2461 18446744073709551615 1 1",
      100, 4096, figures);
  CHECK(figures.cpu_seconds == Approx(4));
  CHECK(figures.threads == 17);
  CHECK(figures.virtual_bytes == 84'578'304);
  CHECK(figures.resident_bytes == 2461 * 4096);
}

TEST_CASE("process figures: what is no such text changes nothing", "[process]") {
  for (const char* text : {"", "42", "42 (x", "42 (x) S 1 2 3", "no bracket at all"}) {
    ProcessFigures figures;
    read_process_stat(text, 100, 4096, figures);
    CHECK(figures.threads == 0);
    CHECK(figures.resident_bytes == 0);
  }
}

TEST_CASE("process figures: this process's own", "[process]") {
  const ProcessFigures before = read_process_figures();
  CHECK(before.open_descriptors >= 3);
  CHECK(before.most_descriptors >= before.open_descriptors);
  CHECK(before.threads >= 1);
  CHECK(before.resident_bytes > 1'000'000);
  CHECK(before.virtual_bytes >= before.resident_bytes);
  std::vector<Fd> more;
  for (int i = 0; i < 10; ++i) more.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  StopEvent stop;
  const Thread thread("waits", [&] { stop.wait_until(kNever); });
  const ProcessFigures now = read_process_figures();
  stop.fire();
  CHECK(now.open_descriptors == before.open_descriptors + 11);
  CHECK(now.threads == before.threads + 1);
}
