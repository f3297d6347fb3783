#include <catch2/catch.hpp>

#include "document.hpp"
#include "monitoring/golden.hpp"

using namespace farol::monitoring;
using farol::test::blocks_of;
using farol::test::read_repository_file;
using farol::test::without_space;

TEST_CASE("docs/PROTOCOL.md: its examples are the bytes that we send", "[protocol_document]") {
  auto blocks = blocks_of(read_repository_file("docs/PROTOCOL.md"));
  for (const auto& example : golden::examples()) {
    INFO(example.name);
    CHECK(without_space(blocks["hex " + example.name]) == example.unsigned_hex);
    CHECK(without_space(blocks["hex " + example.name + " signed"]) == example.signed_hex);
  }
}

TEST_CASE("docs/PROTOCOL.md: its agent is the one that the integration tests run", "[protocol_document]") {
  auto blocks = blocks_of(read_repository_file("docs/PROTOCOL.md"));
  CHECK(blocks["python"] == read_repository_file("test/integration/stranger_agent.py"));
}

TEST_CASE("docs/PROTOCOL.md: it explains every drop reason", "[protocol_document]") {
  const std::string page = read_repository_file("docs/PROTOCOL.md");
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    const std::string name(to_string(static_cast<DropReason>(i)));
    INFO(name);
    CHECK(page.find("`" + name + "`") != std::string::npos);
  }
}
