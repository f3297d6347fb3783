#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

namespace farol {

/// A command line or configuration that cannot be used. main prints it in one line and exits 64 (EX_USAGE).
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A valid configuration that this machine refuses (port taken, file unreadable). main prints it and exits 1.
class StartError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws std::system_error for the present errno; `attempt` says what was tried ("bind 0.0.0.0:80").
[[noreturn]] void throw_errno(std::string_view attempt);

/// Passes a system call's result through, or throws when it is negative. The only road from errno to an exception.
template <typename Result>
Result check(std::string_view attempt, Result result) {
  if (result < 0) throw_errno(attempt);
  return result;
}

/// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry_eintr(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// The system's words for an error number: "Address already in use". Any thread.
std::string error_text(int error_number);

}  // namespace farol
