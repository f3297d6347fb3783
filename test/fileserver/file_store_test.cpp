#include "fileserver/file_store.hpp"

#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/error.hpp"
#include "fileserver/served_directory.hpp"

using namespace farol;
using namespace farol::fileserver;
using farol::test::ServedDirectory;
using transfer::NotFoundReason;
using transfer::VersionTag;

namespace {

using File = std::shared_ptr<const OpenFile>;

struct Store {
  ServedDirectory directory;
  ContentHashes hashes;
  FileStore files{directory.root(), hashes};

  File file(const std::string& path, const VersionTag& tag = {}) {
    auto found = files.open(path, tag);
    INFO(path);
    REQUIRE(std::holds_alternative<File>(found));
    return std::get<File>(found);
  }
  bool refuses(const std::string& path, NotFoundReason reason, const VersionTag& tag = {}) {
    const auto found = files.open(path, tag);
    const auto* got = std::get_if<NotFoundReason>(&found);
    return got != nullptr && *got == reason;
  }
};

std::string content(const File& file, std::uint64_t offset = 0, std::size_t size = std::string::npos) {
  std::string text(std::min<std::size_t>(size, file->state().size - offset), '\0');
  iovec buffer{text.data(), text.size()};
  REQUIRE((text.empty() || file->read(offset, {&buffer, 1})));
  return text;
}

}  // namespace

TEST_CASE("FileStore: files of any name, in directories as well", "[file_store]") {
  Store store;
  for (const char* name : {"a", "with space.txt", "100%25 %2e%2e.txt", "caf\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac.txt",
                           "latin\xe9", "...", ".hidden", "a?b#c&d", "deep/er/and/deeper"}) {
    store.directory.write(name, std::string("content of ") + name);
    CHECK(content(store.file(name)) == std::string("content of ") + name);
  }
  store.directory.write("empty", "");
  CHECK(store.file("empty")->state().size == 0);
}

TEST_CASE("FileStore: what is not there", "[file_store]") {
  Store store;
  store.directory.write("file", "x");
  CHECK(store.refuses("nothing", NotFoundReason::not_found));
  CHECK(store.refuses("no/thing", NotFoundReason::not_found));
  CHECK(store.refuses("file/below", NotFoundReason::not_found));
  CHECK(store.refuses(std::string(300, 'n'), NotFoundReason::not_found));
}

TEST_CASE("FileStore: no path leads out of the root", "[file_store]") {
  Store store;
  store.directory.write("in/file", "inside");
  namespace fs = std::filesystem;
  for (const char* path : {"", "/etc/passwd", "../x", "in/../../x", "in/../in/file", "./in/file", "in//file"})
    CHECK(store.refuses(path, NotFoundReason::bad_request));
  fs::create_symlink("/etc/passwd", store.directory.at("absolute"));
  fs::create_symlink("../../../../etc/passwd", store.directory.at("relative"));
  fs::create_symlink("in/file", store.directory.at("file-link"));
  fs::create_symlink("/etc", store.directory.at("outside"));
  fs::create_symlink("..", store.directory.at("in/up-out-and-in"));
  fs::create_symlink("in", store.directory.at("directory-link"));
  fs::create_symlink("loop", store.directory.at("loop"));
  fs::create_symlink("/proc/self/root", store.directory.at("magic"));
  for (const char* path : {"absolute", "relative", "file-link", "outside/passwd", "in/up-out-and-in/../in/file", "loop",
                           "magic/etc/passwd"}) {
    INFO(path);
    CHECK((store.refuses(path, NotFoundReason::forbidden) || store.refuses(path, NotFoundReason::bad_request)));
  }
  CHECK(content(store.file("directory-link/file")) == "inside");
  CHECK(content(store.file("in/up-out-and-in/in/file")) == "inside");
}

TEST_CASE("FileStore: only regular files, and nothing waits for anybody", "[file_store]") {
  Store store;
  store.directory.write("directory/file", "x");
  REQUIRE(::mkfifo(store.directory.at("fifo").c_str(), 0600) == 0);
  CHECK(store.refuses("directory", NotFoundReason::not_regular));
  CHECK(store.refuses("fifo", NotFoundReason::not_regular));
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  store.directory.at("socket").string().copy(name.sun_path, sizeof name.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  CHECK(store.refuses("socket", NotFoundReason::not_regular));
  if (::mknod(store.directory.at("null").c_str(), S_IFCHR | 0666, 0x103) == 0)  // root only
    CHECK((store.refuses("null", NotFoundReason::not_regular) || store.refuses("null", NotFoundReason::forbidden)));
}

TEST_CASE("FileStore: what this user may not read is forbidden", "[file_store]") {
  Store store;
  store.directory.write("secret", "x");
  std::filesystem::permissions(store.directory.at("secret"), std::filesystem::perms::none);
  std::filesystem::permissions(store.directory.root(), std::filesystem::perms(0755));
  const auto self = static_cast<uid_t>(::setfsuid(65534));  // of this thread: root may read anything
  const bool forbidden = store.refuses("secret", NotFoundReason::forbidden);
  ::setfsuid(self);
  CHECK(forbidden);
}

TEST_CASE("FileStore: a version is served as long as it can be", "[file_store]") {
  Store store;
  store.directory.write("file", "one");
  store.directory.set_mtime("file", 1'000'000'000);
  const File one = store.file("file");
  CHECK(one->stat_tag() == transfer::stat_tag_of(3, 1'000'000'000));
  const VersionTag tag = one->stat_tag();
  CHECK(store.file("file", tag) == one);  // the same descriptor
  CHECK(store.refuses("file", NotFoundReason::version_changed, VersionTag{1}));

  store.directory.write("next", "TWO");
  std::filesystem::rename(store.directory.at("next"), store.directory.at("file"));
  CHECK(content(store.file("file", tag)) == "one");  // who began with the old one goes on
  const File two = store.file("file");
  CHECK(content(two) == "TWO");
  CHECK(content(store.file("file", two->stat_tag())) == "TWO");

  std::filesystem::remove(store.directory.at("file"));
  CHECK(content(store.file("file", tag)) == "one");
  CHECK(store.refuses("file", NotFoundReason::not_found));
}

TEST_CASE("FileStore: a file written to in place has another version", "[file_store]") {
  Store store;
  store.directory.write("file", "one");
  store.directory.set_mtime("file", 1'000'000'000);
  const File one = store.file("file");
  CHECK(one->unchanged());
  store.directory.write("file", "TWO");
  CHECK_FALSE(one->unchanged());
  CHECK(store.refuses("file", NotFoundReason::version_changed, one->stat_tag()));
  store.directory.set_mtime("file", 1'000'000'000);  // whoever covers the tracks is found out here, if not by the tag
  CHECK_FALSE(one->unchanged());
  CHECK(store.file("file", one->stat_tag()) != one);
}

TEST_CASE("FileStore: replicas have the same tags, copies without their times the same content", "[file_store]") {
  Store first, second;
  const std::string text = test::random_text(100'000);
  for (Store* store : {&first, &second}) store->directory.write("file", text);
  first.directory.set_mtime("file", 1'000'000'001);
  second.directory.set_mtime("file", 1'000'000'002);
  std::vector<transfer::FileInfo> infos;
  for (Store* store : {&first, &second}) {
    const auto settled = Clock::now() + ContentHashes::kSettled * 2;
    StopEvent never;
    never.wait_until(settled);  // else it was written to a moment ago
    infos.push_back(store->files.info(store->file("file")));
    REQUIRE(infos.back().content);
    CHECK(*infos.back().content == test::sha256(text));
    CHECK(content(store->file("file", transfer::tag_of(infos.back()))) == text);
  }
  CHECK(infos[0].stat_tag != infos[1].stat_tag);
  CHECK(transfer::same_version(infos[0], infos[1]));
  second.directory.set_mtime("file", 1'000'000'001);
  CHECK(second.files.info(second.file("file")).stat_tag == infos[0].stat_tag);
}

TEST_CASE("FileStore: offsets beyond 4 GiB", "[file_store]") {
  Store store;
  store.directory.write("sparse", "");
  constexpr std::uint64_t kSize = 5ULL << 30;
  std::filesystem::resize_file(store.directory.at("sparse"), kSize - 3);
  std::ofstream(store.directory.at("sparse"), std::ios::binary | std::ios::app) << "end";
  const File file = store.file("sparse");
  CHECK(file->state().size == kSize);
  CHECK(content(file, kSize - 4) == std::string("\0end", 4));
  std::array<char, 2> more{};
  iovec buffer{more.data(), more.size()};
  CHECK_FALSE(file->read(kSize - 1, {&buffer, 1}));
}

TEST_CASE("FileStore: few descriptors stay open", "[file_store]") {
  Store store;
  const auto open_descriptors = [] {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
  };
  const auto before = open_descriptors();
  for (int i = 0; i < 500; ++i) {
    store.directory.write(std::to_string(i), "x");
    store.file(std::to_string(i));
    store.file(std::to_string(i));
  }
  CHECK(open_descriptors() == before + FileStore::kMostOpen);
}

TEST_CASE("FileStore: a root that is no directory is named", "[file_store]") {
  ServedDirectory directory;
  directory.write("file", "x");
  ContentHashes hashes;
  const std::string nothing = directory.at("nothing").string(), file = directory.at("file").string();
  CHECK_THROWS_AS(FileStore(nothing, hashes), StartError);
  CHECK_THROWS_WITH(FileStore(nothing, hashes), "--root " + nothing + ": No such file or directory");
  CHECK_THROWS_WITH(FileStore(file, hashes), "--root " + file + ": Not a directory");
}
