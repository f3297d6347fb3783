#include "transfer/codec.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <set>

#include "transfer/golden.hpp"

using namespace farol::transfer;
using Bytes = std::vector<std::uint8_t>;

namespace {

Bytes encoded(const Message& message, std::uint32_t session = 1, std::uint32_t request = 2) {
  Bytes bytes(kMaxDatagram);
  bytes.resize(encode(message, session, request, bytes));
  return bytes;
}

/// As if it had been opened: encode() leaves the payload in the clear.
std::variant<Message, DropReason> decode(const Bytes& bytes) {
  const auto header = decode_header(bytes);
  if (const auto* reason = std::get_if<DropReason>(&header)) return *reason;
  const auto& h = std::get<Header>(header);
  return decode_payload(h, std::span(bytes).subspan(kHeaderSize, h.payload));
}

bool refused(const Bytes& bytes, DropReason reason) {
  const auto result = decode(bytes);
  const auto* got = std::get_if<DropReason>(&result);
  return got != nullptr && *got == reason;
}

Bytes changed(Bytes bytes, std::size_t at, std::uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

bool cannot_be_sent(const Message& message) {
  return encoded(message).empty();
}

const RequestFile kRequest{RequestMode::data, 1184, 0, 0, 1, {}, "f"};

}  // namespace

TEST_CASE("Codec: what is encoded is decoded again, and nothing else", "[codec]") {
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    const Bytes bytes = encoded(example.message, example.session, example.request);
    REQUIRE_FALSE(bytes.empty());
    const auto header = std::get<Header>(decode_header(bytes));
    CHECK(header.type == type_of(example.message));
    CHECK(header.session == example.session);
    CHECK(header.request == example.request);
    const auto message = decode(bytes);
    REQUIRE(std::holds_alternative<Message>(message));
    CHECK(encoded(std::get<Message>(message), example.session, example.request) == bytes);
    CHECK(to_string(header.type) == example.name);
  }
}

TEST_CASE("Codec: limits travel unchanged", "[codec]") {
  const std::string name(kMaxName, 'n'), path(kMaxPath, 'p');
  Sha256 ones;
  ones.fill(0xff);
  VersionTag tag;
  tag.fill(0xff);
  constexpr auto big = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t last_chunk = static_cast<std::uint64_t>(big) / kMaxChunk - kMaskChunks;
  CHECK(std::get<NewConnection>(std::get<Message>(decode(encoded(NewConnection{ones, ~0ULL, name})))).name == name);
  const RequestFile request{RequestMode::both, kMaxChunk, ~0U, last_chunk, ~0ULL, tag, path};
  CHECK(std::get<RequestFile>(std::get<Message>(decode(encoded(request)))) == request);
  const FileInfo info{static_cast<std::uint64_t>(big), std::numeric_limits<std::int64_t>::min(), tag, ones};
  CHECK(std::get<FileInfo>(std::get<Message>(decode(encoded(info)))) == info);
  const Bytes data(kMaxChunk, 0xff);
  const Bytes chunk = encoded(FileChunk{~0ULL, true, data});
  CHECK(chunk.size() == kMaxDatagram);
  CHECK(std::get<FileChunk>(std::get<Message>(decode(chunk))).data.size() == kMaxChunk);
}

TEST_CASE("Codec: a chunk written around its data is the same datagram", "[codec]") {
  const Bytes data(100, 7);
  Bytes around(kMaxDatagram);
  std::copy(data.begin(), data.end(), around.begin() + kChunkDataAt);
  around.resize(encode_chunk_around(9, true, data.size(), 1, 2, around));
  CHECK(around == encoded(FileChunk{9, true, data}, 1, 2));
}

TEST_CASE("Codec: no prefix of a datagram is one, nor is a longer one", "[codec]") {
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    const Bytes whole = encoded(example.message);
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK(refused(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), DropReason::size));
    for (const std::size_t more : {std::size_t{1}, std::size_t{16}, kMaxDatagram}) {
      Bytes longer = whole;
      longer.resize(whole.size() + more);
      CHECK(refused(longer, DropReason::size));
    }
  }
}

TEST_CASE("Codec: other protocols, versions, types and flags are refused", "[codec]") {
  const Bytes chunk = encoded(FileChunk{0, false, Bytes(3, 1)});
  const Bytes goodbye = encoded(Goodbye{});
  for (const std::size_t at : {0, 1, 2}) CHECK(refused(changed(chunk, at, 0), DropReason::version));
  for (const int type : {0, 11, 12, 14, 255})
    CHECK(refused(changed(goodbye, 3, static_cast<std::uint8_t>(type)), DropReason::type));
  CHECK(refused(changed(goodbye, 23, 1), DropReason::malformed));
  for (const int flags : {2, 3, 128})
    CHECK(refused(changed(chunk, 23, static_cast<std::uint8_t>(flags)), DropReason::malformed));
  CHECK(refused(changed(chunk, 22, 1), DropReason::malformed));
}

TEST_CASE("Codec: fields out of range are neither sent nor taken", "[codec]") {
  CHECK(cannot_be_sent(NewConnection{{}, 1, ""}));
  CHECK(cannot_be_sent(NewConnection{{}, 1, "a b"}));
  CHECK(cannot_be_sent(NewConnection{{}, 1, std::string(kMaxName + 1, 'n')}));
  CHECK(cannot_be_sent(Accept{0, 1, 1000, 3000}));
  CHECK(cannot_be_sent(Accept{1, 1, 99, 3000}));
  CHECK(cannot_be_sent(Accept{1, 1, 1000, 1000}));
  CHECK(cannot_be_sent(Accept{1, 1, 1000, 600'001}));
  CHECK(cannot_be_sent(FileChunk{0, false, {}}));
  CHECK(cannot_be_sent(FileChunk{0, false, Bytes(kMaxChunk + 1, 0)}));
  CHECK(cannot_be_sent(FileNotFound{static_cast<NotFoundReason>(0)}));
  CHECK(cannot_be_sent(FileNotFound{static_cast<NotFoundReason>(8)}));
  CHECK(cannot_be_sent(FileInfo{1ULL << 63, 0, VersionTag{1}, std::nullopt}));
  CHECK(cannot_be_sent(FileInfo{1, 0, VersionTag{}, std::nullopt}));
  const auto with = [](auto change) {
    RequestFile request = kRequest;
    change(request);
    return request;
  };
  CHECK_FALSE(cannot_be_sent(kRequest));
  CHECK(cannot_be_sent(with([](auto& r) { r.mode = static_cast<RequestMode>(0); })));
  CHECK(cannot_be_sent(with([](auto& r) { r.mode = static_cast<RequestMode>(4); })));
  CHECK(cannot_be_sent(with([](auto& r) { r.mode = RequestMode::stat; })));
  CHECK(cannot_be_sent(with([](auto& r) { r.mask = 0; })));
  CHECK(cannot_be_sent(with([](auto& r) { r.chunk_size = kMinChunk - 1; })));
  CHECK(cannot_be_sent(with([](auto& r) { r.chunk_size = kMaxChunk + 1; })));
  CHECK(cannot_be_sent(with([](auto& r) { r.first_chunk = ~0ULL; })));
  CHECK(cannot_be_sent(with([](auto& r) { r.path = "../f"; })));
  // The same, as it could arrive from someone who sends it all the same.
  const Bytes request = encoded(kRequest);
  CHECK(refused(changed(request, kHeaderSize, 9), DropReason::malformed));                // mode
  CHECK(refused(changed(request, kHeaderSize + 1, 1), DropReason::malformed));            // reserved
  CHECK(refused(changed(request, kHeaderSize + 31, 0), DropReason::malformed) == false);  // tag: anything goes
  CHECK(refused(changed(request, kHeaderSize + 23, 0), DropReason::malformed));           // mask
  CHECK(refused(changed(request, kHeaderSize + 42, '/'), DropReason::malformed));
  const Bytes info = encoded(FileInfo{6, 0, VersionTag{1}, std::nullopt});
  CHECK(refused(changed(info, kHeaderSize + 32, 2), DropReason::malformed));  // kind
  CHECK(refused(changed(info, kHeaderSize + 40, 1), DropReason::malformed));  // a hash that is said to be unknown
}

TEST_CASE("Codec: a NewConnection's padding is room for later versions", "[codec]") {
  const auto message = decode(changed(encoded(NewConnection{{}, 1, "a"}), kMaxDatagram - kTagSize - 1, 99));
  REQUIRE(std::holds_alternative<Message>(message));
  CHECK(std::get<Message>(message) == Message{NewConnection{{}, 1, "a"}});
}

TEST_CASE("Codec: random changes never crash, and what is taken can be sent again", "[codec]") {
  std::mt19937_64 random(20240607);
  std::set<DropReason> seen;
  std::vector<Bytes> all;
  for (const auto& example : golden::examples()) all.push_back(encoded(example.message));
  int taken = 0;
  for (int round = 0; round < 200'000; ++round) {
    Bytes bytes = all[random() % all.size()];
    for (std::uint64_t changes = 1 + random() % 4; changes > 0; --changes) {
      const std::size_t from = round % 2 == 0 ? 0 : kHeaderSize;
      bytes[from + random() % (bytes.size() - from)] = static_cast<std::uint8_t>(random() >> (random() % 8));
    }
    if (random() % 8 == 0) bytes.resize(random() % (kMaxDatagram + 2));
    const auto result = decode(bytes);
    if (const auto* reason = std::get_if<DropReason>(&result)) {
      seen.insert(*reason);
    } else {
      ++taken;
      REQUIRE_FALSE(cannot_be_sent(std::get<Message>(result)));
    }
  }
  CHECK(taken > 1000);
  CHECK(seen == std::set{DropReason::size, DropReason::version, DropReason::type, DropReason::malformed});
}

TEST_CASE("Codec: paths are relative and stay where they are", "[codec]") {
  for (const char* good :
       {"a", "a/b/c", "a b", "100%.txt", "%2e%2e", "\xc3\xa9t\xc3\xa9", "\xff", "...", ".hidden", "a..b", "a?b#c"})
    CHECK(valid_path(good));
  for (const char* bad : {"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/./b", "../a", "a/..", "a/../b",
                          "a\\b", "a\nb", "\x7f", "\x1b"}) {
    INFO(bad);
    CHECK_FALSE(valid_path(bad));
  }
  CHECK_FALSE(valid_path(std::string("a\0b", 3)));
  CHECK(valid_path(std::string(kMaxPath, 'a')));
  CHECK_FALSE(valid_path(std::string(kMaxPath + 1, 'a')));
}

TEST_CASE("Codec: servers share a file by content, or by size and time until that is known", "[codec]") {
  const FileInfo plain{6, 1, stat_tag_of(6, 1), std::nullopt};
  const FileInfo hashed{6, 1, stat_tag_of(6, 1), Sha256{1}};
  const FileInfo copied{6, 2, stat_tag_of(6, 2), Sha256{1}};
  const FileInfo other{6, 1, stat_tag_of(6, 1), Sha256{2}};
  CHECK(same_version(plain, plain));
  CHECK(same_version(plain, hashed));
  CHECK(same_version(hashed, copied));
  CHECK_FALSE(same_version(hashed, other));
  CHECK_FALSE(same_version(plain, copied));
  CHECK_FALSE(same_version(plain, FileInfo{7, 1, stat_tag_of(6, 1), std::nullopt}));
  CHECK(tag_of(plain) == plain.stat_tag);
  CHECK(tag_of(hashed) == content_tag_of(Sha256{1}));
  CHECK(tag_of(hashed) == tag_of(copied));
}

TEST_CASE("Codec: chunks are counted up", "[codec]") {
  CHECK(chunks_of(0, 1184) == 0);
  CHECK(chunks_of(1, 1184) == 1);
  CHECK(chunks_of(1184, 1184) == 1);
  CHECK(chunks_of(1185, 1184) == 2);
  CHECK(chunks_of(~0ULL >> 1, 64) == (1ULL << 57));
}
