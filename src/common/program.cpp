#include "common/program.hpp"

#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <iostream>

#include "common/error.hpp"

namespace farol {

int run_program(const char* name, const std::function<int()>& body) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return body();
  } catch (const UsageError& error) {
    std::cerr << fmt::format("{}: {}\n", name, error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << fmt::format("{}: {}\n", name, error.what());
    return kExitCannotStart;
  }
}

}  // namespace farol
