#include "common/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/fd.hpp"
#include "common/pipe_ends.hpp"
#include "common/thread.hpp"

using namespace farol;
using namespace farol::test;
using namespace std::chrono_literals;

namespace {

std::string text_line(std::string_view message, const std::vector<LogField>& fields) {
  return format_log_line(LogFormat::text, LogLevel::info, message, fields);
}

std::string json_value(std::string_view value) {
  const std::vector<LogField> fields = {{"k", value}};
  return nlohmann::json::parse(format_log_line(LogFormat::json, LogLevel::info, "m", fields))["k"];
}

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

TEST_CASE("log: what is no UTF-8 is shown, and never sent as it is", "[log]") {
  const std::string_view whole[] = {"Jos\u00e9", "\u00a0", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"};
  for (const std::string_view text : whole) {
    CHECK(text_line("m", {{"k", text}}) == fmt::format("level=info msg=\"m\" k=\"{}\"", text));
    CHECK(json_value(text) == text);
  }
  const std::string_view broken[] = {"\xff", "\x80", "\xc2", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
                                     "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x92"};
  for (const std::string_view text : broken) {
    std::string numbers, replaced;
    for (const char c : text) numbers += fmt::format("\\x{:02x}", static_cast<unsigned char>(c)), replaced += "\ufffd";
    CHECK(text_line("m", {{"k", text}}) == fmt::format("level=info msg=\"m\" k=\"{}\"", numbers));
    CHECK(json_value(text) == replaced);
  }
}

TEST_CASE("log: C1 controls are escaped like the others", "[log]") {
  CHECK(text_line("m", {{"k", "a\u009bb"}}) == "level=info msg=\"m\" k=\"a\\u009bb\"");
  CHECK(json_value("a\u0080b") == "a\u0080b");
  CHECK(format_log_line(LogFormat::json, LogLevel::info, "\u0085", {}) == "{\"level\":\"info\",\"msg\":\"\\u0085\"}");
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
  log.flush();
  CHECK(pipe.contents() == "level=warn msg=\"3\"\nlevel=error msg=\"4\" k=5\n");
  CHECK(log.dropped() == 0);
}

TEST_CASE("log: what is lost is said in the log's own format", "[log]") {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    const PipeEnds pipe;
    ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 4096);
    std::string text;
    {
      const Logger log(pipe.write_end.get(), LogLevel::info, format);
      while (log.dropped() < 10) log.info(std::string(1000, 'x'));
      text = pipe.contents();  // now somebody does
      for (const auto lost = format == LogFormat::text ? "level=warn msg=\"log lines lost\" lines=10\n"
                                                       : "{\"level\":\"warn\",\"msg\":\"log lines lost\",\"lines\":10}\n";
           !text.ends_with(lost);) {
        REQUIRE(pipe.readable());
        text += pipe.contents();
      }
    }
    CHECK(pipe.contents().empty());
  }
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
