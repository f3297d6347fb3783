#include "fileserver/responder.hpp"

#include <map>

#include "fileserver/served_directory.hpp"

using namespace farol;
using namespace farol::fileserver;
using namespace std::chrono_literals;
using farol::test::ServedDirectory;
using transfer::FileChunk;
using transfer::FileInfo;
using transfer::FileNotFound;
using transfer::NotFoundReason;
using transfer::RequestFile;
using transfer::RequestMode;

namespace {

constexpr std::uint32_t kSession = 7;
constexpr auto kChunk = static_cast<std::uint16_t>(transfer::kMaxChunk);
const TimePoint kStart = TimePoint() + 1h;

/// The responder with a gateway's eyes on what it says.
struct Answers {
  ServedDirectory directory;
  ContentHashes hashes;
  FileStore files{directory.root(), hashes};
  Responder responder{files};
  transfer::DirectionKey key = session_key(transfer::published_secret(), transfer::Direction::server_to_gateway, 1, 2);
  transfer::Sealer sealer{key};
  transfer::Opener opener{key};
  TimePoint now = kStart;

  std::vector<FileInfo> infos;
  std::vector<FileNotFound> refusals;
  std::map<std::uint64_t, std::string> chunks;
  std::vector<std::uint32_t> requests;  ///< of every datagram
  std::optional<std::uint64_t> last;
  std::size_t bursts = 0;

  void ask(std::uint32_t id, RequestMode mode, const std::string& path, std::uint64_t first = 0, std::uint64_t mask = 0,
           const transfer::VersionTag& tag = {}, std::uint32_t pace_us = 0) {
    responder.ask(id, {mode, mask == 0 ? std::uint16_t{0} : kChunk, pace_us, first, mask, tag, path});
  }
  /// Everything that is due now.
  void run() {
    while (const auto burst = responder.next(sealer, kSession, now)) {
      ++bursts;
      std::vector<std::uint8_t> bytes(burst->bytes.begin(), burst->bytes.end());
      for (std::size_t at = 0; at < bytes.size(); at += burst->segment)
        take(std::span(bytes).subspan(at, std::min(burst->segment, bytes.size() - at)));
    }
  }
  void take(std::span<std::uint8_t> datagram) {
    const auto header = std::get<transfer::Header>(transfer::decode_header(datagram));
    CHECK(header.session == kSession);
    requests.push_back(header.request);
    const auto opened = opener.open(header, datagram);
    REQUIRE(std::holds_alternative<transfer::Opened>(opened));
    const auto message =
        std::get<transfer::Message>(transfer::decode_payload(header, std::get<transfer::Opened>(opened).payload));
    if (const auto* info = std::get_if<FileInfo>(&message)) infos.push_back(*info);
    if (const auto* refusal = std::get_if<FileNotFound>(&message)) refusals.push_back(*refusal);
    if (const auto* chunk = std::get_if<FileChunk>(&message)) {
      CHECK(chunks.emplace(chunk->chunk, std::string(chunk->data.begin(), chunk->data.end())).second);
      if (chunk->last) last = chunk->chunk;
    }
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& [number, data] : chunks) all += data;
    return all;
  }
};

constexpr std::uint64_t kAll = ~std::uint64_t{0};

}  // namespace

TEST_CASE("Responder: stat tells size, time and tag, and nothing more", "[responder]") {
  Answers answers;
  answers.directory.write("file", "Farol\n");
  answers.directory.set_mtime("file", 1'600'000'000'123'456'789);
  answers.ask(5, RequestMode::stat, "file");
  answers.run();
  REQUIRE(answers.infos.size() == 1);
  CHECK(answers.infos[0].size == 6);
  CHECK(answers.infos[0].mtime_ns == 1'600'000'000'123'456'789);
  CHECK(answers.infos[0].stat_tag == transfer::stat_tag_of(6, 1'600'000'000'123'456'789));
  CHECK(answers.requests == std::vector<std::uint32_t>{5});
  CHECK(answers.responder.next_due() == kNever);
}

TEST_CASE("Responder: stat with a tag is about that version, wherever the path leads by now", "[responder]") {
  Answers answers;
  const std::string old = test::random_text(1000, 1), renewed = test::random_text(1000, 2);
  answers.directory.write("file", old);
  answers.directory.set_mtime("file", 1'600'000'000'123'456'789);
  StopEvent().wait_until(Clock::now() + 2 * ContentHashes::kSettled);  // else nobody knows its hash yet
  answers.ask(1, RequestMode::stat, "file");
  answers.run();
  REQUIRE(answers.infos.size() == 1);
  answers.directory.write("next", renewed);
  std::filesystem::rename(answers.directory.at("next"), answers.directory.at("file"));
  answers.ask(2, RequestMode::stat, "file", 0, 0, answers.infos[0].stat_tag);
  answers.ask(3, RequestMode::stat, "file", 0, 0, transfer::tag_of(answers.infos[0]));
  answers.ask(4, RequestMode::stat, "file");
  answers.run();
  REQUIRE(answers.infos.size() == 4);
  for (const int again : {1, 2}) {
    CHECK(answers.infos[again].stat_tag == answers.infos[0].stat_tag);
    CHECK(answers.infos[again].content == test::sha256(old));
  }
  CHECK(answers.infos[3].stat_tag != answers.infos[0].stat_tag);
}

TEST_CASE("Responder: a small file comes whole in one round trip", "[responder]") {
  for (const std::size_t size :
       {1UL, kChunk - 1UL, kChunk + 0UL, kChunk + 1UL, 32UL * kChunk, 33UL * kChunk - 1, 64UL * kChunk}) {
    INFO(size);
    Answers answers;
    const std::string text = test::random_text(size);
    answers.directory.write("file", text);
    answers.ask(1, RequestMode::both, "file", 0, kAll);
    answers.run();
    REQUIRE(answers.infos.size() == 1);
    CHECK(answers.infos[0].size == size);
    CHECK(answers.text() == text);
    CHECK(answers.last == (size - 1) / kChunk);
    CHECK(answers.bursts == 1 + (answers.chunks.size() + 31) / 32);
    CHECK(answers.responder.requests() == 1);
    CHECK(answers.responder.chunks() == answers.chunks.size());
  }
}

TEST_CASE("Responder: an empty file is its FILE_INFO", "[responder]") {
  Answers answers;
  answers.directory.write("empty", "");
  answers.ask(1, RequestMode::both, "empty", 0, kAll);
  answers.ask(2, RequestMode::data, "empty", 0, kAll);
  answers.run();
  REQUIRE(answers.infos.size() == 1);
  CHECK(answers.infos[0].size == 0);
  CHECK(answers.requests == std::vector<std::uint32_t>{1});
}

TEST_CASE("Responder: exactly the chunks of the mask, with the file's bytes", "[responder]") {
  Answers answers;
  const std::string text = test::random_text(200 * kChunk + 10);
  answers.directory.write("file", text);
  const std::uint64_t mask = 0x8000'0000'0f0f'0001;
  answers.ask(1, RequestMode::data, "file", 100, mask);
  answers.run();
  CHECK(answers.infos.empty());
  CHECK_FALSE(answers.last);
  std::uint64_t got = 0;
  for (const auto& [number, data] : answers.chunks) {
    got |= std::uint64_t{1} << (number - 100);
    CHECK(data == text.substr(number * kChunk, kChunk));
  }
  CHECK(got == mask);

  answers.chunks.clear();
  answers.ask(2, RequestMode::data, "file", 199, kAll);  // two are left
  answers.ask(3, RequestMode::data, "file", 201, kAll);  // none
  answers.ask(4, RequestMode::data, "file", ~0ULL / 4 / kChunk, kAll);
  answers.run();
  CHECK(answers.text() == text.substr(199 * kChunk));
  CHECK(answers.last == 200);
}

TEST_CASE("Responder: what cannot be served is refused under the request's id", "[responder]") {
  Answers answers;
  answers.directory.write("directory/file", "x");
  answers.ask(1, RequestMode::both, "nothing", 0, 1);
  answers.ask(2, RequestMode::stat, "directory");
  answers.ask(3, RequestMode::data, "directory/file", 0, 1, transfer::VersionTag{9});
  answers.ask(4, RequestMode::stat, "directory/file", 0, 0, transfer::VersionTag{9});
  answers.run();
  REQUIRE(answers.refusals.size() == 4);
  CHECK(answers.refusals[0].reason == NotFoundReason::not_found);
  CHECK(answers.refusals[1].reason == NotFoundReason::not_regular);
  CHECK(answers.refusals[2].reason == NotFoundReason::version_changed);
  CHECK(answers.refusals[3].reason == NotFoundReason::version_changed);
  CHECK(answers.requests == std::vector<std::uint32_t>{1, 2, 3, 4});
  const auto told = answers.responder.take_refusals();
  REQUIRE(told.size() == 4);
  CHECK(told[0].path == "nothing");
}

TEST_CASE("Responder: a file that changes under a request is refused, not mixed", "[responder]") {
  Answers answers;
  answers.directory.write("file", test::random_text(64 * kChunk));
  answers.ask(1, RequestMode::both, "file", 0, kAll);
  const auto info = answers.responder.next(answers.sealer, kSession, answers.now);
  REQUIRE(info);
  const auto half = answers.responder.next(answers.sealer, kSession, answers.now);
  REQUIRE(half);
  std::filesystem::resize_file(answers.directory.at("file"), 10);
  answers.run();
  CHECK(answers.chunks.empty());
  REQUIRE(answers.refusals.size() == 1);
  CHECK(answers.refusals[0].reason == NotFoundReason::version_changed);
}

TEST_CASE("Responder: cancelled chunks are not sent", "[responder]") {
  Answers answers;
  answers.directory.write("file", test::random_text(64 * kChunk));
  answers.ask(1, RequestMode::data, "file", 0, kAll);
  answers.ask(2, RequestMode::data, "file", 0, kAll);
  answers.responder.cancel(1, kAll);
  answers.responder.cancel(2, ~std::uint64_t{2});
  answers.responder.cancel(3, kAll);  // nobody's
  answers.run();
  CHECK(answers.requests == std::vector<std::uint32_t>{2});
  CHECK(answers.chunks.count(1) == 1);
}

TEST_CASE("Responder: bursts keep the pace that was asked for", "[responder]") {
  Answers answers;
  answers.directory.write("file", test::random_text(64 * kChunk));
  answers.ask(1, RequestMode::data, "file", 0, kAll, {}, 500);
  answers.run();
  CHECK(answers.chunks.size() == 32);
  CHECK(answers.responder.next_due() == kStart + 500us);
  answers.now += 499us;
  answers.run();
  CHECK(answers.chunks.size() == 32);
  answers.now += 1us;
  answers.run();
  CHECK(answers.chunks.size() == 64);
  CHECK(answers.responder.next_due() == kNever);
}

TEST_CASE("Responder: more requests than it can hold are told so, then dropped", "[responder]") {
  Answers answers;
  answers.directory.write("file", "x");
  const auto many = static_cast<std::uint32_t>(Responder::kMostQueued + Responder::kMostRefused + 100);
  for (std::uint32_t id = 0; id < many; ++id) answers.ask(id, RequestMode::stat, "file");
  answers.run();
  CHECK(answers.infos.size() == Responder::kMostQueued);
  REQUIRE(answers.refusals.size() == Responder::kMostRefused);
  CHECK(answers.refusals[0].reason == NotFoundReason::busy);
  answers.ask(many, RequestMode::stat, "file");  // and it goes on
  answers.run();
  CHECK(answers.infos.size() == Responder::kMostQueued + 1);
}

TEST_CASE("Responder: a session that ended leaves nothing behind", "[responder]") {
  Answers answers;
  answers.directory.write("file", "x");
  answers.ask(1, RequestMode::stat, "file");
  answers.responder.clear();
  answers.run();
  CHECK(answers.bursts == 0);
}
