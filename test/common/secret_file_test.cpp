#include "common/secret_file.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
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

namespace {

struct CredentialsIn {
  explicit CredentialsIn(const std::string& directory) { ::setenv("CREDENTIALS_DIRECTORY", directory.c_str(), 1); }
  ~CredentialsIn() { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  CredentialsIn(const CredentialsIn&) = delete;
};

}  // namespace

TEST_CASE("Token: a credential of systemd 254 may be read by its group, and nothing else may", "[token]") {
  const test::TemporaryDirectory directory;
  for (const char* each : {"own", "own/deep", "owner", "other"}) std::filesystem::create_directory(directory.at(each));
  const auto written = [&](const char* name, mode_t mode) {
    const std::string path = directory.at(name);
    std::ofstream(path) << "0123456789abcdef\n";
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  };
  std::filesystem::create_symlink("own", directory.at("link"));
  std::filesystem::create_symlink("../other/out", directory.at("own/out"));
  const std::string inside = written("own/key", 0440), deep = written("own/deep/key", 0640);
  const std::string beside = written("owner/key", 0440), out = written("other/out", 0440);
  CHECK_THROWS_WITH(Token::load(inside), Contains("is readable by others"));
  for (const char* place : {"own", "link", "other/../own"}) {
    CAPTURE(place);
    const CredentialsIn there(directory.at(place));
    CHECK(Token::load(inside).is("0123456789abcdef"));
    CHECK(Token::load(deep).is("0123456789abcdef"));
    CHECK(Token::load(directory.at("link/key")).is("0123456789abcdef"));
    const std::string link_out = directory.at("own/out"), dots_out = directory.at("own/../owner/key");
    for (const std::string& path : {beside, out, link_out, dots_out}) {
      CAPTURE(path);
      CHECK_THROWS_WITH(Token::load(path), "token file " + path + " is readable by others (chmod 600 it)");
    }
    for (const mode_t mode : {0444, 0460, 0450, 0441, 0604}) {
      const std::string lax = written("own/lax", mode);
      CHECK_THROWS_WITH(Token::load(lax), Contains("is readable by others"));
    }
    REQUIRE(::unlink(directory.at("own/lax").c_str()) == 0);
  }
  for (const char* nowhere : {"", "/", "own", "/no/such/place"}) {
    const CredentialsIn there(nowhere);
    CHECK_THROWS_WITH(Token::load(inside), Contains("is readable by others"));
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
