#include "common/error.hpp"

#include <system_error>

namespace farol {

void throw_errno(std::string_view attempt) {
  throw std::system_error(errno, std::generic_category(), std::string(attempt));
}

std::string error_text(int error_number) { return std::generic_category().message(error_number); }

}  // namespace farol
