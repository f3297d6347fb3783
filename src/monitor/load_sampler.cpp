#include "monitor/load_sampler.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "common/error.hpp"

namespace farol::monitor {
namespace {

constexpr std::size_t kFirstLine = 512;  // all that is wanted of /proc/stat
constexpr std::size_t kFewLines = 512;   // MemTotal and MemAvailable are in the first three
constexpr std::size_t kSnmp = 16 * 1024;

/// Counters that step back (idle and iowait may, by a little) count as standing still.
double difference(std::uint64_t from, std::uint64_t to) {
  return to > from ? static_cast<double>(to - from) : 0;
}

std::optional<double> cgroup_share(const CpuReading& from, const CpuReading& to) {
  if (!from.cgroup || !to.cgroup) return std::nullopt;
  const double allowed_us = to_seconds(to.at - from.at) * 1e6 * to.cgroup->cpus;
  if (allowed_us <= 0) return std::nullopt;
  return std::min(1.0, difference(from.cgroup->usage_us, to.cgroup->usage_us) / allowed_us);
}

}  // namespace

std::optional<double> busy_share(const CpuReading& from, const CpuReading& to) {
  if (const auto share = cgroup_share(from, to)) return share;
  const double busy = difference(from.machine.busy, to.machine.busy);
  const double all = busy + difference(from.machine.idle, to.machine.idle);
  if (all <= 0) return std::nullopt;
  return busy / all;
}

ProcFile::ProcFile(const std::string& path, std::size_t limit)
    : fd_(check("open " + path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC))), buffer_(limit) {}

std::string_view ProcFile::read() {
  const auto size = retry_eintr([&] { return ::pread(fd_.get(), buffer_.data(), buffer_.size(), 0); });
  return size <= 0 ? std::string_view() : std::string_view(buffer_.data(), static_cast<std::size_t>(size));
}

LoadSampler::LoadSampler(TimePoint now, const std::string& root)
    : online_cpus_(static_cast<double>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)))),
      stat_(root + "/proc/stat", kFirstLine),
      meminfo_(root + "/proc/meminfo", kFewLines),
      snmp_(root + "/proc/net/snmp", kSnmp),
      cgroup_(root) {
  at_start_.from = read_cpu(now);
}

CpuReading LoadSampler::read_cpu(TimePoint now) {
  last_ticks_ = parse_cpu(stat_.read()).value_or(last_ticks_);
  return {now, last_ticks_, cgroup_.cpu(online_cpus_)};
}

std::uint16_t LoadSampler::cpu(CpuBaseline& baseline, TimePoint now) {
  if (now - baseline.from.at < kShortestWindow) return baseline.share;
  const CpuReading current = read_cpu(now);
  if (const auto share = busy_share(baseline.from, current)) baseline.share = to_hundredths(*share);
  baseline.from = current;
  return baseline.share;
}

std::uint16_t LoadSampler::memory() {
  const auto machine = parse_memory(meminfo_.read());
  if (!machine) return 0;
  const Memory memory = cgroup_.memory(machine->total).value_or(*machine);
  return to_hundredths(static_cast<double>(memory.used) / static_cast<double>(memory.total));
}

std::uint32_t LoadSampler::tcp_connections() {
  return parse_established(snmp_.read()).value_or(0);
}

std::string LoadSampler::limits_text() {
  std::string text;
  if (const auto cpu = cgroup_.cpu(online_cpus_)) text = fmt::format("cpu={}", cpu->cpus);
  const auto machine = parse_memory(meminfo_.read());
  if (const auto memory = machine ? cgroup_.memory(machine->total) : std::nullopt)
    text += fmt::format("{}memory={}", text.empty() ? "" : " ", memory->total);
  return text;
}

}  // namespace farol::monitor
