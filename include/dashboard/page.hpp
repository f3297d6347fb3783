#pragma once

#include <string>

#include "http/request_parser.hpp"
#include "http/response.hpp"

namespace farol::dashboard {

/// The page itself: web/*, put into the program at build time and joined into one document, so that opening it takes
/// one request. Its Content-Security-Policy permits the style and the scripts by their hashes, connections to where it
/// came from, and nothing else. A value; constant after construction, any thread.
class Page {
 public:
  /// Throws std::logic_error when the document has no place for its parts: a mistake in web/.
  Page();
  /// 200, or 304 to who has it already.
  [[nodiscard]] http::Response respond(const http::Request& request) const;

 private:
  std::string document_;
  std::string policy_;
  std::string tag_;
};

}  // namespace farol::dashboard
