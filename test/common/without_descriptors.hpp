#pragma once

#include <sys/resource.h>

#include "common/error.hpp"

namespace farol::test {

/// While it lives this process gets no new descriptor: the lowest ones are standard input, output and error. (With a limit
/// below them poll(2) would watch nothing at all.)
class WithoutDescriptors {
 public:
  WithoutDescriptors() {
    check("getrlimit", ::getrlimit(RLIMIT_NOFILE, &before_));
    const rlimit none{3, before_.rlim_max};
    check("setrlimit", ::setrlimit(RLIMIT_NOFILE, &none));
  }
  ~WithoutDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  WithoutDescriptors(const WithoutDescriptors&) = delete;
  WithoutDescriptors& operator=(const WithoutDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace farol::test
