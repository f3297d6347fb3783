#include "fileserver/content_hashes.hpp"

#include "common/thread.hpp"
#include "fileserver/served_directory.hpp"

using namespace farol;
using namespace farol::fileserver;
using farol::test::ServedDirectory;

namespace {

std::shared_ptr<const OpenFile> open(const ServedDirectory& directory, const std::string& name) {
  const Fd root = open_root(directory.root());
  return std::make_shared<const OpenFile>(std::get<RegularFile>(open_beneath(root, name)));
}

void settle() {
  StopEvent().wait_until(Clock::now() + 2 * ContentHashes::kSettled);
}

struct Running {
  ContentHashes hashes;
  StopEvent stop;
  Thread thread{"hash", [this] { hashes.run(stop); }};
  ~Running() { stop.fire(); }

  std::optional<transfer::Sha256> wait_for(const FileState& state) {
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (Clock::now() < end) {
      if (auto hash = hashes.known(state)) return hash;
      stop.wait_until(Clock::now() + std::chrono::milliseconds(5));
    }
    return std::nullopt;
  }
};

}  // namespace

TEST_CASE("ContentHashes: a small file's hash is there at once", "[content_hashes]") {
  ServedDirectory directory;
  for (const std::size_t size : {0U, 1U, 1'048'576U, 1'048'577U}) {
    directory.write("file", test::random_text(size));
    settle();
    ContentHashes hashes;
    const auto file = open(directory, "file");
    CHECK_FALSE(hashes.known(file->state()));
    CHECK(hashes.ask(file) == test::sha256(test::random_text(size)));
    CHECK(hashes.known(file->state()));
  }
}

TEST_CASE("ContentHashes: a large file's is found in the background", "[content_hashes]") {
  ServedDirectory directory;
  const std::string text = test::random_text(ContentHashes::kAtOnce + 1);
  directory.write("large", text);
  settle();
  Running running;
  const auto file = open(directory, "large");
  CHECK_FALSE(running.hashes.ask(file));
  CHECK(running.wait_for(file->state()) == test::sha256(text));
  CHECK(running.hashes.ask(file) == test::sha256(text));
}

TEST_CASE("ContentHashes: a file that was just written to has to settle first", "[content_hashes]") {
  ServedDirectory directory;
  Running running;
  directory.write("file", "new");
  const auto file = open(directory, "file");
  CHECK_FALSE(running.hashes.ask(file));
  CHECK(running.wait_for(file->state()) == test::sha256("new"));
}

TEST_CASE("ContentHashes: a file that changes has no hash", "[content_hashes]") {
  ServedDirectory directory;
  directory.write("file", "old");
  settle();
  ContentHashes hashes;
  const auto file = open(directory, "file");
  directory.write("file", "new");
  CHECK_FALSE(hashes.ask(file));
  std::filesystem::resize_file(directory.at("file"), 1);
  CHECK_FALSE(hashes.ask(file));
}

TEST_CASE("ContentHashes: one from the future never settles, and nothing waits for it", "[content_hashes]") {
  ServedDirectory directory;
  directory.write("later", "x");
  auto file = open(directory, "later");
  const Fd root = open_root(directory.root());
  auto opened = std::get<RegularFile>(open_beneath(root, "later"));
  opened.state.ctime_ns += std::int64_t{3600} * 1'000'000'000;
  const auto future = std::make_shared<const OpenFile>(std::move(opened));
  Running running;
  CHECK_FALSE(running.hashes.ask(future));
  CHECK_FALSE(running.hashes.ask(file));  // behind it in the queue
  CHECK(running.wait_for(file->state()));
  CHECK_FALSE(running.hashes.known(future->state()));
}
