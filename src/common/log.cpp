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

/// The bytes of the UTF-8 character that the text begins with, or 0 where it begins with none (RFC 3629).
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follow = [&](std::size_t bytes) {
    for (std::size_t i = 1; i < bytes; ++i)
      if ((byte(i) & 0xc0) != 0x80) return std::size_t{0};
    return bytes;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follow(2);
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0, surrogate = first == 0xed && byte(1) >= 0xa0;
    return overlong || surrogate ? 0 : follow(3);
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90, beyond = first == 0xf4 && byte(1) >= 0x90;
    return overlong || beyond ? 0 : follow(4);
  }
  return 0;
}

/// C0, DEL and C1: what speaks to a terminal.
bool is_control(std::string_view one) {
  const auto first = static_cast<unsigned char>(one[0]);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(one[1]) < 0xa0);
}

/// Quoted, with control characters escaped: bytes from the network cannot forge a second log line. A byte that is no
/// UTF-8 is shown by its number; JSON has no way to say it.
void append_quoted(std::string& out, LogFormat format, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t bytes = character(text);
    const std::string_view one = text.substr(0, std::max<std::size_t>(bytes, 1));
    const auto last = static_cast<unsigned char>(one.back());
    if (bytes == 0)
      out += format == LogFormat::json ? "\\ufffd" : fmt::format("\\x{:02x}", last);
    else if (is_control(one))
      out += fmt::format("\\u{:04x}", last);
    else
      out.append(one == "\"" || one == "\\" ? "\\" : "").append(one);
    text.remove_prefix(one.size());
  }
  out += '"';
}

void append_value(std::string& out, const LogField& field) {
  const std::string_view value = field.value();
  const bool bare = !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  if (bare)
    out += value;
  else
    append_quoted(out, LogFormat::text, value);
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
  append_quoted(line, format, message);
  for (const LogField& field : fields) {
    line += json ? ",\"" : " ";
    line += field.key();
    line += json ? "\":" : "=";
    if (!json)
      append_value(line, field);
    else if (field.is_number())
      line += field.value();
    else
      append_quoted(line, format, field.value());
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
