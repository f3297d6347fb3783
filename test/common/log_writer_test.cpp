#include "common/log_writer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <list>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/fd.hpp"
#include "common/pipe_ends.hpp"

using namespace farol;
using namespace farol::test;
using namespace std::chrono_literals;

namespace {

std::string lost_line(std::uint64_t lines) { return "lost " + std::to_string(lines) + "\n"; }

/// A pipe of a page, which holds little.
struct SmallPipe : PipeEnds {
  SmallPipe() { ::fcntl(write_end.get(), F_SETPIPE_SZ, 4096); }
  /// The next `count` lines, or those until 10 s pass without one.
  std::vector<std::string> read(std::size_t count) {
    std::vector<std::string> lines;
    while (lines.size() < count) {
      if (const auto end = rest_.find('\n'); end != std::string::npos) {
        lines.push_back(rest_.substr(0, end));
        rest_.erase(0, end + 1);
        continue;
      }
      if (!readable()) break;
      rest_ += contents();
    }
    return lines;
  }
 private:
  std::string rest_;
};

/// As long as lines are.
std::string numbered(int number) { return std::string(300, '.') + " line " + std::to_string(number); }

}  // namespace

TEST_CASE("LogWriter: every line whole and in its order, however many write", "[log]") {
  constexpr int kThreads = 4, kLines = 3000;
  SmallPipe pipe;
  LogWriter writer(pipe.write_end.get(), lost_line);
  std::list<Thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back("writer", [&writer, thread] {
      for (int i = 0; i < kLines; ++i) writer.put(std::to_string(thread) + " " + std::to_string(i) + "\n");
    });
  int next[kThreads] = {};
  for (const std::string& line : pipe.read(kThreads * kLines)) {
    std::istringstream words(line);
    int thread = -1, number = -1;
    words >> thread >> number;
    REQUIRE(thread >= 0);
    REQUIRE(thread < kThreads);
    CHECK(number == next[thread]++);
  }
  for (const int lines : next) CHECK(lines == kLines);
  CHECK(writer.dropped() == 0);
}

TEST_CASE("LogWriter: nobody reads: who writes goes on, what has no room is counted, and told in its place", "[log]") {
  SmallPipe pipe;
  LogWriter writer(pipe.write_end.get(), lost_line);
  int written = 0;
  for (; written < 100; ++written) writer.put(numbered(written) + "\n");
  pollfd room{pipe.write_end.get(), POLLOUT, 0};
  while (::poll(&room, 1, 0) > 0) ::poll(nullptr, 0, 1);  // the writer is stuck: what comes now stays in the queue
  while (writer.dropped() < 1000) writer.put(numbered(written++) + "\n");  // would hang here if it waited
  const std::uint64_t lost = writer.dropped();
  const int kept = written - static_cast<int>(lost);
  CHECK(static_cast<std::size_t>(kept) * numbered(kept).size() < 2 * LogWriter::kMostQueued + 4096);
  const std::vector<std::string> lines = pipe.read(static_cast<std::size_t>(kept) + 1);
  REQUIRE(lines.size() == static_cast<std::size_t>(kept) + 1);
  for (int i = 0; i < kept; ++i) REQUIRE(lines[static_cast<std::size_t>(i)] == numbered(i));
  CHECK(lines.back() == "lost " + std::to_string(lost));
  writer.put("again\n");
  CHECK(pipe.read(1) == std::vector<std::string>{"again"});
  CHECK(writer.dropped() == lost);
}

TEST_CASE("LogWriter: the last lines are written before it goes", "[log]") {
  SmallPipe pipe;
  ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 64 * 1024);
  {
    LogWriter writer(pipe.write_end.get(), lost_line);
    for (int i = 0; i < 100; ++i) writer.put(numbered(i) + "\n");
  }
  const std::vector<std::string> lines = pipe.read(100);
  REQUIRE(lines.size() == 100);
  CHECK(lines.back() == numbered(99));
}

TEST_CASE("LogWriter: where nobody reads its end comes all the same", "[log]") {
  SmallPipe pipe;
  std::optional<LogWriter> writer(std::in_place, pipe.write_end.get(), lost_line);
  while (writer->dropped() == 0) writer->put(numbered(0) + "\n");
  const TimePoint start = Clock::now();
  writer.reset();
  CHECK(Clock::now() - start >= LogWriter::kFlushTime - 100ms);
  CHECK(Clock::now() - start < LogWriter::kFlushTime + 2s);
}

TEST_CASE("LogWriter: a full disk, a reader that is gone and no descriptor cost lines, and nothing else", "[log]") {
  std::signal(SIGPIPE, SIG_IGN);  // as run_program() does
  const Fd full(check("open", ::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  SmallPipe gone;
  gone.read_end.reset();
  for (const int fd : {full.get(), gone.write_end.get(), -1}) {
    LogWriter writer(fd, lost_line);
    writer.put("one\n");
    writer.put("two\n");
    writer.flush();
    CHECK(writer.dropped() == 2);
    writer.put("three\n");
    writer.flush();
    CHECK(writer.dropped() == 3);
  }
}

TEST_CASE("LogWriter: a line longer than a pipe writes at once comes whole", "[log]") {
  SmallPipe pipe;
  LogWriter writer(pipe.write_end.get(), lost_line);
  const std::string line(20'000, 'x');
  writer.put(line + "\n");
  CHECK(pipe.read(1) == std::vector<std::string>{line});
}
