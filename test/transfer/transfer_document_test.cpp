#include <openssl/sha.h>

#include <catch2/catch.hpp>

#include "document.hpp"
#include "transfer/golden.hpp"

using namespace farol::transfer;
using farol::test::blocks_of;
using farol::test::read_repository_file;
using farol::test::without_space;

namespace {

std::string sha256_hex(const std::vector<std::uint8_t>& bytes) {
  Sha256 digest{};
  SHA256(bytes.data(), bytes.size(), digest.data());
  return test::hex(digest);
}

}  // namespace

TEST_CASE("docs/TRANSFER.md: its examples are the bytes that we send", "[transfer_document]") {
  auto blocks = blocks_of(read_repository_file("docs/TRANSFER.md"));
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    const auto sealed = golden::sealed(example);
    auto plain = sealed;
    Opener opener(golden::key_of(example), Opener::Replays::taken);
    const auto header = std::get<Header>(decode_header(plain));
    REQUIRE(std::holds_alternative<Opened>(opener.open(header, plain)));
    plain.resize(plain.size() - kTagSize);
    if (example.name == "NEW_CONNECTION") {
      plain.resize(kHeaderSize + 49);  // the rest is zeros
      CHECK(without_space(blocks["hex NEW_CONNECTION sealed"]) == sha256_hex(sealed));
    } else {
      CHECK(without_space(blocks["hex " + example.name + " sealed"]) == test::hex(sealed));
    }
    CHECK(without_space(blocks["hex " + example.name]) == test::hex(plain));
  }
}

TEST_CASE("docs/TRANSFER.md: its file server is the one that the integration tests run", "[transfer_document]") {
  auto blocks = blocks_of(read_repository_file("docs/TRANSFER.md"));
  CHECK(blocks["python"] == read_repository_file("test/integration/stranger_file_server.py"));
}

TEST_CASE("docs/TRANSFER.md: it explains every drop reason and every refusal", "[transfer_document]") {
  const std::string page = read_repository_file("docs/TRANSFER.md");
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    const std::string name(to_string(static_cast<DropReason>(i)));
    INFO(name);
    CHECK(page.find("`" + name + "`") != std::string::npos);
  }
  for (std::uint16_t i = 1; i <= 7; ++i) {
    const std::string name(to_string(static_cast<NotFoundReason>(i)));
    INFO(name);
    CHECK(page.find("`" + name + "`") != std::string::npos);
  }
}
