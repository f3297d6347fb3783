#include "monitoring/key_ring.hpp"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <set>

#include "common/error.hpp"
#include "common/temporary_directory.hpp"
#include "common/thread.hpp"
#include "monitoring/golden.hpp"

using namespace farol;
using namespace farol::monitoring;

namespace {

const std::string kOldLine = "6 f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f\n";

class KeyDirectory : public farol::test::TemporaryDirectory {
 public:
  [[nodiscard]] std::string file(const std::string& name) const { return at(name); }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text, mode_t mode) const {
    write(name, text);
    REQUIRE(::chmod(file(name).c_str(), mode) == 0);
    return file(name);
  }
};

std::string error_of(const std::string& text) {
  try {
    KeyRing::parse(text, "/x/keys");
  } catch (const StartError& error) {
    return error.what();
  }
  return "no error";
}

std::string load_error(const std::string& path) {
  try {
    KeyRing::load(path);
  } catch (const StartError& error) {
    return error.what();
  }
  return "no error";
}

PacketBytes signed_by(const KeyRing& keys, const Packet& packet) {
  PacketBytes bytes = encode(packet);
  keys.sign(bytes, golden::direction_of(packet));
  return bytes;
}

}  // namespace

TEST_CASE("KeyRing: signs and verifies the specification's examples", "[key_ring]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    const Direction direction = golden::direction_of(example.packet);
    CHECK(golden::hex(signed_by(keys, example.packet)) == example.signed_hex);
    CHECK(keys.verify(golden::bytes(example.signed_hex), direction));
    CHECK_FALSE(keys.verify(golden::bytes(example.unsigned_hex), direction));
  }
}

TEST_CASE("KeyRing: a packet sent back where it came from does not verify", "[key_ring]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  for (const auto& example : golden::examples())
    CHECK_FALSE(keys.verify(golden::bytes(example.signed_hex), golden::other(golden::direction_of(example.packet))));
}

TEST_CASE("KeyRing: every single changed bit breaks the signature", "[key_ring]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine + kOldLine, "test");
  for (const auto& example : golden::examples()) {
    PacketBytes bytes = golden::bytes(example.signed_hex);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(1 << bit % 8);
      bytes[bit / 8] ^= mask;
      INFO(example.name << " bit " << bit);
      CHECK_FALSE(keys.verify(bytes, golden::direction_of(example.packet)));
      bytes[bit / 8] ^= mask;
    }
  }
}

TEST_CASE("KeyRing: without keys only zeros are taken", "[key_ring]") {
  const KeyRing none;
  CHECK(none.empty());
  for (const auto& example : golden::examples()) {
    const Direction direction = golden::direction_of(example.packet);
    CHECK(golden::hex(signed_by(none, example.packet)) == example.unsigned_hex);
    CHECK(none.verify(golden::bytes(example.unsigned_hex), direction));
    CHECK_FALSE(none.verify(golden::bytes(example.signed_hex), direction));
    for (const std::size_t at : {1U, 48U, 63U}) {
      PacketBytes bytes = encode(example.packet);
      bytes[at] = 1;
      CHECK_FALSE(none.verify(bytes, direction));
    }
  }
}

TEST_CASE("KeyRing: the first key signs and all verify", "[key_ring]") {
  const KeyRing before = KeyRing::parse(kOldLine, "test");
  const KeyRing during = KeyRing::parse(kOldLine + golden::kKeyLine, "test");
  const KeyRing after = KeyRing::parse(golden::kKeyLine + kOldLine, "test");
  const Packet packet = Register{{80, 1, 2}, 1000};
  constexpr auto kWay = Direction::agent_to_proxy;
  CHECK(during.size() == 2);
  CHECK(signed_by(during, packet) == signed_by(before, packet));
  CHECK(signed_by(after, packet)[1] == 7);
  CHECK(during.verify(signed_by(before, packet), kWay));
  CHECK(during.verify(signed_by(after, packet), kWay));
  CHECK(after.verify(signed_by(during, packet), kWay));
  CHECK_FALSE(before.verify(signed_by(after, packet), kWay));
}

TEST_CASE("KeyRing: many threads sign and verify at once", "[key_ring]") {
  const KeyRing keys = KeyRing::parse(golden::kKeyLine, "test");
  std::atomic<int> verified = 0;
  {
    std::vector<Thread> threads;
    for (std::uint32_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back("signer", [&, thread] {
        for (std::uint32_t i = 0; i < 1000; ++i)
          verified += keys.verify(signed_by(keys, ProbeRequest{i, thread, false}), Direction::proxy_to_agent) ? 1 : 0;
      });
    }
  }
  CHECK(verified == 4000);
}

TEST_CASE("KeyRing: reads comments, blank lines, spaces, and ids from 0 to 255", "[key_ring]") {
  const std::string key = golden::kKeyLine.substr(2, 64);
  const KeyRing keys = KeyRing::parse("# keys\n\n  \t\n0\t" + key + "   # old\r\n  255 " + key, "test");
  CHECK(keys.size() == 2);
  CHECK(signed_by(keys, ProbeRequest{})[1] == 0);
  std::string upper = golden::kKeyLine;
  for (auto& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(signed_by(KeyRing::parse(upper, "test"), ProbeRequest{}) ==
        signed_by(KeyRing::parse(golden::kKeyLine, "test"), ProbeRequest{}));
}

TEST_CASE("KeyRing: a bad line is named, and never quoted", "[key_ring]") {
  const std::string key = golden::kKeyLine.substr(2, 64);
  const std::string wanted = "key file /x/keys line 3: want '<id 0-255> <64 hex digits>'";
  for (const std::string& line :
       {std::string("7"), std::string("7 "), "7 " + key.substr(1), "7 " + key + "0", "7 " + key + " more", "256 " + key,
        "-1 " + key, "x " + key, key, "7 g" + key.substr(1), "7 -" + key.substr(1), "7 0x" + key.substr(2),
        "7 " + key.substr(0, 62) + " 1f", "7: " + key}) {
    INFO(line);
    CHECK(error_of("# keys\n1 " + key + "\n" + line + "\n") == wanted);
  }
  CHECK(error_of(golden::kKeyLine + golden::kKeyLine) ==
        "key file /x/keys line 2: key id 7 is there already (want another id)");
  CHECK(error_of("# nothing\n") == "key file /x/keys holds no key (want '<id 0-255> <64 hex digits>')");
  CHECK(error_of("") == "key file /x/keys holds no key (want '<id 0-255> <64 hex digits>')");
}

TEST_CASE("KeyRing: a key file must be regular and its owner's alone", "[key_ring]") {
  const KeyDirectory directory;
  CHECK(KeyRing::load(directory.file("good", golden::kKeyLine, 0600)).size() == 1);
  CHECK(KeyRing::load(directory.file("read-only", golden::kKeyLine, 0400)).size() == 1);
  for (const mode_t mode : {0640, 0604, 0660, 0644, 0620, 0601}) {
    const std::string path = directory.file("open", golden::kKeyLine, mode);
    CHECK(load_error(path) == "key file " + path + " is readable by others (chmod 600 it)");
  }
  const std::string missing = directory.file("missing");
  CHECK(load_error(missing) == "cannot read key file " + missing + ": No such file or directory");
  CHECK(load_error(directory.file("")) == "key file " + directory.file("") + " is not a regular file");
  const std::string fifo = directory.file("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(load_error(fifo) == "key file " + fifo + " is not a regular file");
  const std::string bad = directory.file("bad", "7 secret\n", 0600);
  CHECK(load_error(bad) == "key file " + bad + " line 1: want '<id 0-255> <64 hex digits>'");
  const std::string huge = directory.file("huge", std::string(65537, '\n'), 0600);
  CHECK(load_error(huge) == "key file " + huge + " is larger than 64 KiB: not a key file");
}

TEST_CASE("KeyRing: a generated line is a key, and another one each time", "[key_ring]") {
  std::set<std::string> lines;
  for (int i = 0; i < 100; ++i) lines.insert(KeyRing::generate_line(200));
  CHECK(lines.size() == 100);
  for (const auto& line : lines) CHECK(signed_by(KeyRing::parse(line, "test"), ProbeRequest{})[1] == 200);
}

TEST_CASE("KeyRing: digests are keyed, and random numbers differ", "[key_ring]") {
  KeyRing::Key key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const std::vector<std::uint8_t> data = {'f', 'a', 'r', 'o', 'l'};
  CHECK(keyed_digest(key, data) == 0xb9ef2c8e1582523d);
  CHECK(keyed_digest(random_key(), data) != keyed_digest(random_key(), data));
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 1000; ++i) numbers.insert(random_u64());
  CHECK(numbers.size() == 1000);
}
