#include "gateway/target.hpp"

#include <catch2/catch.hpp>

using namespace farol::gateway;

namespace {

std::string path(std::string_view target) {
  const auto result = file_of(target);
  const auto* refusal = std::get_if<Refusal>(&result);
  return refusal != nullptr ? std::to_string(refusal->status) : std::get<std::string>(result);
}

}  // namespace

TEST_CASE("a target names a file below the servers' roots", "[target]") {
  CHECK(path("/file.txt") == "file.txt");
  CHECK(path("/a/b/c.jpg") == "a/b/c.jpg");
  CHECK(path("/file.txt?version=2#part") == "file.txt");
  CHECK(path("http://gateway:8080/a%20b") == "a b");
  CHECK(path("/%C3%A9t%C3%A9.png") == "\xC3\xA9t\xC3\xA9.png");
  CHECK(path("/100%25.txt") == "100%.txt");
  CHECK(path("/%2541") == "%41");  // once
  CHECK(path("/a+b") == "a+b");
  CHECK(path("/a%2Fb") == "a/b");
  CHECK(path("/%FF%FE") == "\xFF\xFE");
  CHECK(path("/...") == "...");
  CHECK(path("/.hidden") == ".hidden");
}

TEST_CASE("a directory means its index.html", "[target]") {
  CHECK(path("/") == "index.html");
  CHECK(path("/docs/") == "docs/index.html");
  CHECK(path("http://gateway") == "index.html");
}

TEST_CASE("targets that name no file are refused", "[target]") {
  for (const char* target : {"file", "*", "", "/a/../b", "/..", "/.", "/./a", "/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
                             "/a%00b", "/a%0ab", "/a%7f", "/a\\b", "/a%5cb", "/%", "/%4", "/%zz", "//a", "/a//b", "/a/%2F"})
    CHECK(path(target) == "400");
  CHECK(path("/" + std::string(1024, 'a')) == std::string(1024, 'a'));
  CHECK(path("/" + std::string(1025, 'a')) == "414");
}
