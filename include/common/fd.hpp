#pragma once

#include <utility>

namespace farol {

/// Owns one file descriptor and closes it, once. Move-only: a descriptor has one owner at any time.
/// Not thread-safe; hand it to another thread by moving it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  /// The descriptor, still owned here; -1 when empty.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Closes now. Errors of close(2) are not reported: the descriptor is gone either way (Linux).
  void reset() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace farol
