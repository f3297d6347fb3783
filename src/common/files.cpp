#include "common/files.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr int kMostRaces = 16;  // renames elsewhere make a ".." under RESOLVE_BENEATH uncertain: EAGAIN

int open_at(const Fd& root, const char* path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int race = 0; race < kMostRaces; ++race) {
    fd = retry_eintr([&] { return ::syscall(SYS_openat2, root.get(), path, &how, sizeof how); });
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return static_cast<int>(fd);
}

OpenFailure failure(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return OpenFailure::not_found;
    case EACCES:
    case EPERM:
    case EXDEV:  // beneath the root no more
    case ELOOP:
      return OpenFailure::forbidden;
    case ENXIO:  // a socket, or a device without a driver
    case ENODEV:
    case EISDIR:
      return OpenFailure::not_regular;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return OpenFailure::no_resources;
    default:
      return OpenFailure::io_error;
  }
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileState state_of(const struct stat& found) {
  return {found.st_dev,
          found.st_ino,
          static_cast<std::uint64_t>(found.st_size),
          nanoseconds(found.st_mtim),
          nanoseconds(found.st_ctim),
          found.st_nlink};
}

}  // namespace

Fd open_root(const std::string& path) {
  Fd root(retry_eintr([&] { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (!root) throw StartError("--root " + path + ": " + error_text(errno));
  const Fd self(open_at(root, ".", O_PATH | O_CLOEXEC));
  if (!self) throw StartError("--root " + path + ": openat2: " + error_text(errno) + " (want Linux 5.6 or later)");
  return root;
}

std::variant<RegularFile, OpenFailure> open_beneath(const Fd& root, const std::string& path) {
  RegularFile file;
  file.fd = Fd(open_at(root, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (!file.fd) return failure(errno);
  struct stat found {};
  if (::fstat(file.fd.get(), &found) != 0) return OpenFailure::io_error;
  if (!S_ISREG(found.st_mode)) return OpenFailure::not_regular;
  file.state = state_of(found);
  return file;
}

bool read_state(const Fd& file, FileState& state) {
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return false;
  state = state_of(found);
  return true;
}

bool read_fully(const Fd& file, std::uint64_t offset, std::span<iovec> buffers) {
  while (!buffers.empty()) {
    auto got = retry_eintr([&] {
      return ::preadv(file.get(), buffers.data(), static_cast<int>(buffers.size()), static_cast<off_t>(offset));
    });
    if (got <= 0) return false;
    offset += static_cast<std::uint64_t>(got);
    while (!buffers.empty() && static_cast<std::size_t>(got) >= buffers.front().iov_len) {
      got -= static_cast<ssize_t>(buffers.front().iov_len);
      buffers = buffers.subspan(1);
    }
    if (got > 0) {
      buffers.front().iov_base = static_cast<std::uint8_t*>(buffers.front().iov_base) + got;
      buffers.front().iov_len -= static_cast<std::size_t>(got);
    }
  }
  return true;
}

}  // namespace farol
