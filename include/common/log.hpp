#pragma once

#include <fmt/format.h>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/log_writer.hpp"

namespace farol {

enum class LogLevel { error, warn, info, debug };
enum class LogFormat { text, json };

/// One `key=value` of a log line. Numbers stay bare in JSON, everything else is quoted where its format needs it.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  template <std::integral Number>
  LogField(std::string_view key, Number value) : key_(key), value_(fmt::format("{}", value)), number_(true) {}
  LogField(std::string_view key, double value, int decimals)
      : key_(key), value_(fmt::format("{:.{}f}", value, decimals)), number_(true) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] std::string_view value() const { return value_; }
  [[nodiscard]] bool is_number() const { return number_; }

 private:
  std::string_view key_;
  std::string value_;
  bool number_ = false;
};

/// Writes log lines: logfmt (`level=info msg="…" key=value`) or JSON, one line = one write(2), behind the back of who
/// logs (LogWriter): a reader that does not keep up, or a full disk, costs lines, never time. They are counted, and said
/// when there is room again. What was logged when this goes is written first, for at most a second.
/// Owned by main, borrowed by everything; any thread may log. Keys are string literals.
class Logger {
 public:
  Logger(int fd, LogLevel level, LogFormat format);

  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  [[nodiscard]] bool enabled(LogLevel level) const { return level <= level_.load(std::memory_order_relaxed); }
  void log(LogLevel level, std::string_view message, std::span<const LogField> fields) const;
  void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {}) const {
    log(level, message, std::span(fields.begin(), fields.size()));
  }

  void error(std::string_view message, std::initializer_list<LogField> f = {}) const { log(LogLevel::error, message, f); }
  void warn(std::string_view message, std::initializer_list<LogField> f = {}) const { log(LogLevel::warn, message, f); }
  void info(std::string_view message, std::initializer_list<LogField> f = {}) const { log(LogLevel::info, message, f); }
  void debug(std::string_view message, std::initializer_list<LogField> f = {}) const { log(LogLevel::debug, message, f); }

  /// Lines that could not be written, because the reader did not keep up or the disk is full.
  [[nodiscard]] std::uint64_t dropped() const { return writer_.dropped(); }
  /// Waits until all lines so far are written, for at most a second: for who leaves without destructors.
  void flush() const { writer_.flush(); }

 private:
  std::atomic<LogLevel> level_;
  const LogFormat format_;
  mutable LogWriter writer_;
};

/// Lets one event through per period and counts the rest, so that a flood costs one line a second. Not thread-safe:
/// each belongs to one thread.
class RateLimit {
 public:
  explicit RateLimit(Duration period) : period_(period) {}
  /// True when the event may be reported now; `suppressed` then says how many were not since the last one.
  bool allow(TimePoint now, std::uint64_t& suppressed);

 private:
  const Duration period_;
  TimePoint next_ = TimePoint::min();
  std::uint64_t suppressed_ = 0;
};

/// The line itself, without its newline: pure, for tests.
std::string format_log_line(LogFormat format, LogLevel level, std::string_view message,
                            std::span<const LogField> fields);

}  // namespace farol
