#include "common/own_file.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>

#include "common/error.hpp"
#include "common/temporary_directory.hpp"

using namespace farol;
using namespace farol::test;

namespace {

using Names = std::set<std::string>;

Names names_in(const TemporaryDirectory& directory) {
  Names names;
  for (const auto& each : std::filesystem::directory_iterator(directory.root())) names.insert(each.path().filename());
  return names;
}

}  // namespace

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
  directory.write("state.new." + std::to_string(::getpid()), "half of a ne");
  const std::string path = directory.at("state").string();
  CHECK(read_own_file(path, 100) == "old");
  replace_own_file(path, "new");
  CHECK(read_own_file(path, 100) == "new");
  CHECK(names_in(directory) == Names{"state"});
}

TEST_CASE("own file: two processes write it at once, and each finds a whole one", "[own_file]") {
  const TemporaryDirectory directory;
  const std::string path = directory.at("state").string();
  const std::string short_one = "short", long_one(200'000, 'x');
  const pid_t other = ::fork();
  REQUIRE(other >= 0);
  const auto write_often = [&](const std::string& text) {
    try {
      for (int i = 0; i < 200; ++i) replace_own_file(path, text);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  };
  if (other == 0) ::_exit(write_often(long_one) ? 0 : 1);
  const bool fine = write_often(short_one);
  int status = 0;
  REQUIRE(::waitpid(other, &status, 0) == other);
  CHECK(fine);
  CHECK(status == 0);
  const auto text = read_own_file(path, 1'000'000);
  CHECK((text == short_one || text == long_one));
  CHECK(names_in(directory) == Names{"state"});
}

TEST_CASE("own file: what killed processes left does not pile up, and a living one's is left alone", "[own_file]") {
  const TemporaryDirectory directory;
  const std::string living = "state.new." + std::to_string(::getppid());
  const Names others = {"state",        "state.new.",          "state.new.1x", "state.new.zork",
                        "state.new.-5", "other.new.999999999", living};
  for (const std::string& name : others) directory.write(name, "");
  directory.write("state.new.999999999", "");  // above pid_max
  remove_unfinished(directory.at("state").string());
  CHECK(names_in(directory) == others);
  remove_unfinished(directory.at("nowhere/state").string());
}

TEST_CASE("own file: one that cannot be put in its place leaves nothing beside it", "[own_file]") {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.at("state"));
  CHECK_THROWS_AS(replace_own_file(directory.at("state").string(), "x"), std::system_error);
  CHECK(names_in(directory) == Names{"state"});
}

TEST_CASE("own file: what cannot be ours is refused, and nobody waits for a FIFO", "[own_file]") {
  const TemporaryDirectory directory;
  directory.write("large", std::string(101, 'x'));
  REQUIRE(::mkfifo(directory.at("fifo").c_str(), 0600) == 0);
  for (const char* name : {"large", "fifo", "."})
    CHECK_THROWS_AS(read_own_file(directory.at(name).string(), 100), StartError);
  CHECK_THROWS_AS(replace_own_file(directory.at("nowhere/state").string(), "x"), std::system_error);
}
