#include "common/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/fd.hpp"
#include "common/thread.hpp"

using namespace farol;
using namespace std::chrono_literals;

namespace {

std::string text_line(std::string_view message, const std::vector<LogField>& fields) {
  return format_log_line(LogFormat::text, LogLevel::info, message, fields);
}

struct PipeEnds {
  PipeEnds() {
    int ends[2];
    check("pipe", ::pipe2(ends, O_CLOEXEC));
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
  }
  /// What is in it, without waiting.
  std::string contents() const {
    ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(read_end.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }
  Fd read_end, write_end;
};

}  // namespace

TEST_CASE("log: a text line is logfmt", "[log]") {
  CHECK(text_line("connection", {{"client", "10.4.4.2:4011"}, {"score", 0.6954, 3}, {"retries", 0}, {"cause", "--"}}) ==
        "level=info msg=\"connection\" client=10.4.4.2:4011 score=0.695 retries=0 cause=--");
}

TEST_CASE("log: values are quoted where they would be misread", "[log]") {
  CHECK(text_line("m", {{"k", "two words"}}) == "level=info msg=\"m\" k=\"two words\"");
  CHECK(text_line("m", {{"k", ""}}) == "level=info msg=\"m\" k=\"\"");
  CHECK(text_line("m", {{"k", "a=b"}}) == "level=info msg=\"m\" k=\"a=b\"");
  CHECK(text_line("say \"hi\" \\", {}) == "level=info msg=\"say \\\"hi\\\" \\\\\"");
}

TEST_CASE("log: no byte of a value can forge a line or speak to a terminal", "[log]") {
  for (int byte = 0; byte < 0x100; ++byte) {
    if (byte >= 0x20 && byte != 0x7f) continue;
    const std::string value = std::string("a") + static_cast<char>(byte) + "b";
    for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
      const std::string line = format_log_line(format, LogLevel::info, value, std::vector<LogField>{{"k", value}});
      for (const char c : line) CHECK(static_cast<unsigned char>(c) >= 0x20);
      CHECK(line.find('\x7f') == std::string::npos);
    }
  }
}

TEST_CASE("log: a JSON line is one object, numbers bare", "[log]") {
  const std::vector<LogField> fields = {{"client", "a \"b\"\n"}, {"bytes", 12}, {"ms", 0.25, 1}};
  const std::string line = format_log_line(LogFormat::json, LogLevel::warn, "a\tb", fields);
  const auto object = nlohmann::json::parse(line);
  CHECK(object["level"] == "warn");
  CHECK(object["msg"] == "a\tb");
  CHECK(object["client"] == "a \"b\"\n");
  CHECK(object["bytes"] == 12);
  CHECK(object["ms"].is_number());
  CHECK(object.size() == 5);
}

TEST_CASE("log: a level lets the more important ones through", "[log]") {
  const PipeEnds pipe;
  const Logger log(pipe.write_end.get(), LogLevel::warn, LogFormat::text);
  log.debug("1");
  log.info("2");
  log.warn("3");
  log.error("4", {{"k", 5}});
  CHECK(pipe.contents() == "level=warn msg=\"3\"\nlevel=error msg=\"4\" k=5\n");
  CHECK(log.dropped() == 0);
}

TEST_CASE("log: a blocked pipe costs lines, never time", "[log]") {
  const PipeEnds pipe;
  ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 4096);
  const Logger log(pipe.write_end.get(), LogLevel::info, LogFormat::text);
  constexpr int kThreads = 4, kLines = 2000;
  {
    // Several at once: each sees room for a line, and only one of them gets it.
    std::list<Thread> writers;
    for (int i = 0; i < kThreads; ++i)
      writers.emplace_back("writer", [&] {
        for (int line = 0; line < kLines; ++line) log.info("a line that somebody else may have no room for");
      });
  }
  const std::string kept = pipe.contents();
  const auto lines = static_cast<std::uint64_t>(std::count(kept.begin(), kept.end(), '\n'));
  CHECK(log.dropped() == kThreads * kLines - lines);
  CHECK(log.dropped() > 0);
  log.info("again");
  CHECK(pipe.contents() == "level=info msg=\"again\"\n");
}

TEST_CASE("log: a closed log is nobody's trouble", "[log]") {
  const Logger log(-1, LogLevel::info, LogFormat::text);
  log.info("into the void");
  CHECK(log.dropped() == 1);
}

TEST_CASE("log: a full disk costs lines, and nothing else", "[log]") {
  const Fd full(check("open", ::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  const Logger log(full.get(), LogLevel::info, LogFormat::text);
  log.info("no room for this");
  log.info("nor for this");
  CHECK(log.dropped() == 2);
}

TEST_CASE("rate limit: one event per period, the rest counted", "[log]") {
  RateLimit limit(1s);
  const TimePoint start{};
  std::uint64_t suppressed = 99;
  CHECK(limit.allow(start, suppressed));
  CHECK(suppressed == 0);
  for (int i = 1; i < 10; ++i) CHECK_FALSE(limit.allow(start + i * 100ms, suppressed));
  CHECK(limit.allow(start + 1s, suppressed));
  CHECK(suppressed == 9);
  CHECK_FALSE(limit.allow(start + 1500ms, suppressed));
  CHECK(limit.allow(start + 10s, suppressed));
  CHECK(suppressed == 1);
}
