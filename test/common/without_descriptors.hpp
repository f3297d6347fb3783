#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include "common/error.hpp"

namespace farol::test {

/// While it lives, and nobody closes a descriptor, this process gets no new one. The limit is the lowest free number and not
/// zero, because poll(2) refuses more descriptors than the limit.
class WithoutDescriptors {
 public:
  WithoutDescriptors() {
    check("getrlimit", ::getrlimit(RLIMIT_NOFILE, &before_));
    const int lowest = check("dup", ::dup(STDIN_FILENO));
    ::close(lowest);
    const rlimit none{static_cast<rlim_t>(lowest), before_.rlim_max};
    check("setrlimit", ::setrlimit(RLIMIT_NOFILE, &none));
  }
  ~WithoutDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  WithoutDescriptors(const WithoutDescriptors&) = delete;
  WithoutDescriptors& operator=(const WithoutDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace farol::test
