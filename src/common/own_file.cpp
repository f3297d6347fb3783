#include "common/own_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol {
namespace {

StartError unreadable(const std::string& path, const std::string& why) { return StartError(path + ": " + why); }

void write_all(const Fd& file, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const auto written = retry_eintr([&] { return ::write(file.get(), content.data(), content.size()); });
    check("write " + path, written);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Another process may write the same file at the same time: one that takes over from this one, for a moment.
std::string new_one(const std::string& path) { return path + ".new." + std::to_string(::getpid()); }

/// The process in whose name it was begun is gone.
bool is_abandoned(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix)) return false;
  pid_t writer = 0;
  const char* const end = name.data() + name.size();
  const bool is_number = std::from_chars(name.data() + prefix.size(), end, writer).ptr == end && writer > 0;
  return is_number && ::kill(writer, 0) != 0 && errno == ESRCH;
}

}  // namespace

void remove_unfinished(const std::string& path) {
  const std::filesystem::path file(path);
  std::error_code none;
  std::filesystem::directory_iterator each(file.has_parent_path() ? file.parent_path() : ".", none);
  for (; !none && each != std::filesystem::directory_iterator(); each.increment(none))
    if (is_abandoned(each->path().filename(), file.filename().string() + ".new.")) ::unlink(each->path().c_str());
}

std::optional<std::string> read_own_file(const std::string& path, std::size_t most) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not make us wait
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) throw unreadable(path, error_text(errno));
  struct stat state {};
  if (::fstat(file.get(), &state) != 0) throw unreadable(path, error_text(errno));
  if (!S_ISREG(state.st_mode)) throw unreadable(path, "is not a regular file");
  if (static_cast<std::size_t>(state.st_size) > most) throw unreadable(path, "is too large to be ours");
  std::string content(static_cast<std::size_t>(state.st_size), '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const auto got = retry_eintr([&] { return ::read(file.get(), content.data() + have, content.size() - have); });
    if (got < 0) throw unreadable(path, error_text(errno));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  content.resize(have);
  return content;
}

void replace_own_file(const std::string& path, std::string_view content) {
  const std::string beside = new_one(path);
  ::unlink(beside.c_str());  // of a life with the same number that ended in the middle
  const Fd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  check("create " + beside, file.get());
  try {
    write_all(file, beside, content);
    check("rename to " + path, ::rename(beside.c_str(), path.c_str()));
  } catch (...) {
    ::unlink(beside.c_str());
    throw;
  }
}

}  // namespace farol
