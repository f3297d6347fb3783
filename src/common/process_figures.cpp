#include "common/process_figures.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace farol {
namespace {

std::size_t open_descriptors() {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  return count > 0 ? count - 1 : 0;  // one is the listing's own
}

}  // namespace

void read_process_stat(std::string_view text, long ticks_per_second, long page_bytes, ProcessFigures& figures) {
  const auto name_end = text.rfind(')');  // the name may hold blanks and brackets
  if (name_end == std::string_view::npos) return;
  std::istringstream words{std::string(text.substr(name_end + 1))};
  std::string skipped;
  const auto skip = [&](int count) {
    for (int i = 0; i < count; ++i) words >> skipped;
  };
  std::uint64_t user = 0, system = 0, threads = 0, size = 0, resident = 0;
  skip(11);  // fields 3 to 13
  words >> user >> system;
  skip(4);
  words >> threads;
  skip(2);
  if (!(words >> size >> resident)) return;
  figures.cpu_seconds = static_cast<double>(user + system) / static_cast<double>(ticks_per_second);
  figures.threads = threads;
  figures.virtual_bytes = size;
  figures.resident_bytes = resident * static_cast<std::uint64_t>(page_bytes);
}

ProcessFigures read_process_figures() {
  ProcessFigures figures;
  std::ifstream stat("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  stat.close();  // before descriptors are counted
  read_process_stat(text, ::sysconf(_SC_CLK_TCK), ::sysconf(_SC_PAGESIZE), figures);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) figures.most_descriptors = static_cast<std::size_t>(files.rlim_cur);
  figures.open_descriptors = open_descriptors();
  return figures;
}

}  // namespace farol
