#include "monitor/load_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "common/error.hpp"

namespace farol::monitor {
namespace {

/// Takes the text up to `separator` off the front.
std::string_view take(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return part;
}

/// The next word of a line, spaces skipped; empty at its end.
std::string_view take_word(std::string_view& line) {
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return take(line, ' ');
}

template <typename Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

UsageError bad_report(std::string_view text, std::string_view why) {
  return UsageError(fmt::format("load report '{}': {} (want cpu=0..100,mem=0..100,tcp=N[,service=N])", text, why));
}

}  // namespace

std::optional<CpuTicks> parse_cpu(std::string_view proc_stat) {
  std::string_view line = take(proc_stat, '\n');
  if (take_word(line) != "cpu") return std::nullopt;
  enum { user, nice, system, idle, iowait, irq, softirq, steal, kFields };
  std::array<std::uint64_t, kFields> ticks{};
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const std::string_view word = take_word(line);
    if (word.empty() && i > idle) break;  // older kernels count less
    const auto value = to_number<std::uint64_t>(word);
    if (!value) return std::nullopt;
    ticks[i] = *value;
  }
  return CpuTicks{ticks[user] + ticks[nice] + ticks[system] + ticks[irq] + ticks[softirq] + ticks[steal],
                  ticks[idle] + ticks[iowait]};
}

std::optional<Memory> parse_memory(std::string_view proc_meminfo) {
  std::optional<std::uint64_t> total, available;
  while (!proc_meminfo.empty() && !(total && available)) {
    std::string_view line = take(proc_meminfo, '\n');
    const std::string_view name = take(line, ':');
    if (name == "MemTotal") total = to_number<std::uint64_t>(take_word(line));
    if (name == "MemAvailable") available = to_number<std::uint64_t>(take_word(line));
  }
  if (!total || !available || *total == 0) return std::nullopt;
  constexpr std::uint64_t kKibi = 1024;
  return Memory{*total * kKibi, (*total - std::min(*total, *available)) * kKibi};
}

std::optional<std::uint32_t> parse_established(std::string_view proc_net_snmp) {
  std::string_view names;
  while (!proc_net_snmp.empty()) {
    std::string_view line = take(proc_net_snmp, '\n');
    if (take_word(line) != "Tcp:") continue;
    if (names.empty()) {
      names = line;
      continue;
    }
    while (!names.empty()) {
      const bool found = take_word(names) == "CurrEstab";
      const std::string_view value = take_word(line);
      if (found) return to_number<std::uint32_t>(value);
    }
  }
  return std::nullopt;
}

std::uint16_t to_hundredths(double share) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(share, 0.0, 1.0) * 10'000));
}

monitoring::Load parse_report(std::string_view text) {
  monitoring::Load load;
  const std::string_view whole = trimmed(text);
  std::string_view rest = whole;
  std::string seen;
  bool service_given = false;
  while (!rest.empty()) {
    std::string_view value = take(rest, ',');
    const std::string_view key = trimmed(take(value, '='));
    value = trimmed(value);
    const std::string word = fmt::format(" {} ", key);
    if (seen.find(word) != std::string::npos) throw bad_report(whole, fmt::format("'{}' twice", key));
    seen += word;
    if (key == "cpu" || key == "mem") {
      const auto percent = to_number<double>(value);
      if (!percent || !(*percent >= 0 && *percent <= 100))
        throw bad_report(whole, fmt::format("{}='{}' is not a percentage", key, value));
      (key == "cpu" ? load.cpu : load.memory) = to_hundredths(*percent / 100);
    } else if (key == "tcp" || key == "service") {
      const auto count = to_number<std::uint32_t>(value);
      if (!count) throw bad_report(whole, fmt::format("{}='{}' is not a count", key, value));
      (key == "tcp" ? load.tcp_machine : load.tcp_service) = *count;
      service_given = service_given || key == "service";
    } else {
      throw bad_report(whole, fmt::format("unknown '{}'", key));
    }
  }
  for (const std::string_view key : {"cpu", "mem", "tcp"})
    if (seen.find(fmt::format(" {} ", key)) == std::string::npos) throw bad_report(whole, fmt::format("no '{}'", key));
  if (!service_given) load.tcp_service = load.tcp_machine;
  return load;
}

}  // namespace farol::monitor
