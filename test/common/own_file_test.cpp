#include "common/own_file.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <system_error>

#include "common/error.hpp"
#include "common/temporary_directory.hpp"

using namespace farol;
using namespace farol::test;

TEST_CASE("own file: what was put there is read again, the last time only, by its owner only", "[own_file]") {
  const TemporaryDirectory directory;
  const std::string path = directory.at("state").string();
  CHECK_FALSE(read_own_file(path, 100));
  replace_own_file(path, "a longer text");
  replace_own_file(path, "short");
  CHECK(read_own_file(path, 100) == "short");
  struct stat state {};
  REQUIRE(::stat(path.c_str(), &state) == 0);
  CHECK((state.st_mode & 0777) == 0600);
}

TEST_CASE("own file: a new one that was begun and never finished is in nobody's way", "[own_file]") {
  const TemporaryDirectory directory;
  directory.write("state", "old");
  directory.write("state.new", "half of a ne");
  const std::string path = directory.at("state").string();
  CHECK(read_own_file(path, 100) == "old");
  replace_own_file(path, "new");
  CHECK(read_own_file(path, 100) == "new");
}

TEST_CASE("own file: what cannot be ours is refused, and nobody waits for a FIFO", "[own_file]") {
  const TemporaryDirectory directory;
  directory.write("large", std::string(101, 'x'));
  REQUIRE(::mkfifo(directory.at("fifo").c_str(), 0600) == 0);
  for (const char* name : {"large", "fifo", "."})
    CHECK_THROWS_AS(read_own_file(directory.at(name).string(), 100), StartError);
  CHECK_THROWS_AS(replace_own_file(directory.at("nowhere/state").string(), "x"), std::system_error);
}
