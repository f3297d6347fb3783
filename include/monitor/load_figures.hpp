#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "monitoring/packet.hpp"

namespace farol::monitor {

/// The figures of the load as text: the files of /proc, and what the operator dictates. Pure functions over text, so
/// that tests need no machine in a particular state. "Empty" means that the text is not what it should be.

/// CPU time of the whole machine since its boot, in ticks (proc(5), /proc/stat).
struct CpuTicks {
  std::uint64_t busy = 0;  ///< user, nice, system, irq, softirq and steal
  std::uint64_t idle = 0;  ///< idle and iowait: a CPU that waits for a disk could do other work
  bool operator==(const CpuTicks&) const = default;
};

/// The first line of /proc/stat. Steal is busy: what the hypervisor takes away is not there for the service. Guest time
/// is part of user already.
std::optional<CpuTicks> parse_cpu(std::string_view proc_stat);

/// Memory in bytes.
struct Memory {
  std::uint64_t total = 0;
  std::uint64_t used = 0;  ///< what a new process could not have: total − available
  bool operator==(const Memory&) const = default;
};

/// MemTotal and MemAvailable of /proc/meminfo (the latter since Linux 3.14).
std::optional<Memory> parse_memory(std::string_view proc_meminfo);

/// Tcp CurrEstab of /proc/net/snmp: connections established or in CLOSE_WAIT, IPv4 and IPv6 (they share this counter).
std::optional<std::uint32_t> parse_established(std::string_view proc_net_snmp);

/// A share 0..1 as the protocol's 1/100 %; what lies outside is cut off.
std::uint16_t to_hundredths(double share);

/// "cpu=100,mem=100,tcp=100[,service=100]": percentages, counts; without `service` tcp sets both counts.
/// Throws UsageError saying what would be right.
monitoring::Load parse_report(std::string_view text);

}  // namespace farol::monitor
