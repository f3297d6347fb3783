#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <string>

#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol::test {

/// A pipe whose both ends the test holds.
struct PipeEnds {
  PipeEnds() {
    int ends[2];
    check("pipe", ::pipe2(ends, O_CLOEXEC));
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
  }
  [[nodiscard]] bool readable() const {
    pollfd waiting{read_end.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 10'000) > 0;
  }
  /// What is in it, without waiting.
  std::string contents() const {
    ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(read_end.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }
  Fd read_end, write_end;
};

}  // namespace farol::test
