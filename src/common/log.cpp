#include "common/log.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace farol {
namespace {

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::error: return "error";
    case LogLevel::warn: return "warn";
    case LogLevel::info: return "info";
    case LogLevel::debug: return "debug";
  }
  return "?";
}

/// Quoted, with control bytes escaped: bytes from the network cannot forge a second log line.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_value(std::string& out, const LogField& field) {
  const std::string_view value = field.value();
  const bool bare = !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > 0x20 && c != 0x7f && c != '"' && c != '=' && c != '\\';
  });
  if (bare)
    out += value;
  else
    append_quoted(out, value);
}

}  // namespace

std::string format_log_line(LogFormat format, LogLevel level, std::string_view message,
                            std::span<const LogField> fields) {
  std::string line;
  line.reserve(256);
  const bool json = format == LogFormat::json;
  line += json ? "{\"level\":\"" : "level=";
  line += level_name(level);
  line += json ? "\",\"msg\":" : " msg=";
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += json ? ",\"" : " ";
    line += field.key();
    line += json ? "\":" : "=";
    if (!json)
      append_value(line, field);
    else if (field.is_number())
      line += field.value();
    else
      append_quoted(line, field.value());
  }
  if (json) line += '}';
  return line;
}

Logger::Logger(int fd, LogLevel level, LogFormat format)
    : level_(level), format_(format), writer_(fd, [format](std::uint64_t lines) {
        return format_log_line(format, LogLevel::warn, "log lines lost", std::vector<LogField>{{"lines", lines}}) + "\n";
      }) {}

void Logger::log(LogLevel level, std::string_view message, std::span<const LogField> fields) const {
  if (!enabled(level)) return;
  std::string line = format_log_line(format_, level, message, fields);
  line += '\n';
  writer_.put(line);
}

bool RateLimit::allow(TimePoint now, std::uint64_t& suppressed) {
  if (now < next_) {
    ++suppressed_;
    return false;
  }
  next_ = now + period_;
  suppressed = std::exchange(suppressed_, 0);
  return true;
}

}  // namespace farol
