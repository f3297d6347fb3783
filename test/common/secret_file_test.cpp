#include "common/secret_file.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "common/error.hpp"
#include "common/temporary_directory.hpp"

using namespace farol;
using Catch::Matchers::Contains;

TEST_CASE("Token: the first line of its file", "[token]") {
  for (const char* text : {"0123456789abcdef", "0123456789abcdef\n", "0123456789abcdef\r\nmore"}) {
    const Token token = Token::parse(text, "f");
    CHECK(token.text() == "0123456789abcdef");
    CHECK(token.is("0123456789abcdef"));
    for (const char* wrong : {"", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef ", "0123456789abcdef0"})
      CHECK_FALSE(token.is(wrong));
  }
}

TEST_CASE("Token: what is none is refused, and never printed", "[token]") {
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("0123456789abcde"), std::string("01234567 89abcdef"),
        std::string("0123456789abcdef\t"), std::string(257, 'x'), "\xc3\xa9" + std::string(20, 'x')}) {
    CHECK_THROWS_AS(Token::parse(text, "/some/file"), StartError);
    CHECK_THROWS_WITH(Token::parse(text, "/some/file"), Contains("/some/file") && Contains("16 to 256") && !Contains("cde"));
  }
}

TEST_CASE("Token: a file that others may read is refused", "[token]") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.at("token");
  std::ofstream(path) << "0123456789abcdef\n";
  for (const mode_t mode : {0640, 0604, 0644, 0610}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK_THROWS_WITH(Token::load(path), "token file " + path + " is readable by others (chmod 600 it)");
  }
  REQUIRE(::chmod(path.c_str(), 0400) == 0);
  CHECK(Token::load(path).is("0123456789abcdef"));
  CHECK_THROWS_WITH(Token::load(path + "x"), "cannot read token file " + path + "x: No such file or directory");
  CHECK_THROWS_WITH(Token::load(directory.root()), Contains("is not a regular file"));
}
