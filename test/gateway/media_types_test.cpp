#include "gateway/media_types.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

using farol::gateway::MediaTypes;

TEST_CASE("content types follow the longest known extension", "[media]") {
  const MediaTypes types;
  CHECK(types.of("a.jpg") == "image/jpeg");
  CHECK(types.of("dir.png/a.HTML") == "text/html");
  CHECK(types.of("a.b.tar.gz") == "application/gzip");
  CHECK(types.of("a.css.unknown") == "application/octet-stream");
  for (const char* none : {"README", "", "a.", ".", "dir.png/a"}) CHECK(types.of(none) == "application/octet-stream");
}

TEST_CASE("the system's mime.types wins over the built-in table", "[media]") {
  const std::string file = "/tmp/farol-mime-" + std::to_string(::getpid());
  std::ofstream(file) << "# comment\napplication/x-gtar-compressed\ttar.gz tgz # more\nimage/special  jpg\n"
                         "not a type jpg\nbad/ty\x01pe bad\ntext/none\n\n";
  const MediaTypes types = MediaTypes::load(file);
  ::unlink(file.c_str());
  CHECK(types.of("x.tar.gz") == "application/x-gtar-compressed");
  CHECK(types.of("x.jpg") == "image/special");
  CHECK(types.of("x.png") == "image/png");
  CHECK(types.of("x.bad") == "application/octet-stream");
  CHECK(MediaTypes::load("/nonexistent").of("x.png") == "image/png");
}
