#include "common/own_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

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

}  // namespace

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
  const std::string beside = path + ".new";
  ::unlink(beside.c_str());  // of a life that ended in the middle
  const Fd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  check("create " + beside, file.get());
  write_all(file, beside, content);
  check("rename to " + path, ::rename(beside.c_str(), path.c_str()));
}

}  // namespace farol
