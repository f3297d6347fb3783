#pragma once

#include <sys/resource.h>

#include "common/error.hpp"

namespace farol::test {

/// While it lives this process gets no new descriptor.
class WithoutDescriptors {
 public:
  WithoutDescriptors() {
    check("getrlimit", ::getrlimit(RLIMIT_NOFILE, &before_));
    const rlimit none{0, before_.rlim_max};
    check("setrlimit", ::setrlimit(RLIMIT_NOFILE, &none));
  }
  ~WithoutDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  WithoutDescriptors(const WithoutDescriptors&) = delete;
  WithoutDescriptors& operator=(const WithoutDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace farol::test
