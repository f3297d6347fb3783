#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "monitoring/golden.hpp"

using namespace farol::monitoring;

namespace {

/// REQUIRES: run from the repository's root when compiled with a relative path.
std::string read_repository_file(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / name);
  INFO("reading " << (root / name) << " (run the tests from the repository's root)");
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The fenced blocks of a page by what stands behind their opening fence.
std::map<std::string, std::string> blocks_of(const std::string& page) {
  std::map<std::string, std::string> blocks;
  std::istringstream lines(page);
  std::string line, name;
  while (std::getline(lines, line)) {
    if (line.starts_with("```")) {
      name = name.empty() ? line.substr(3) : "";
    } else if (!name.empty()) {
      blocks[name] += line + "\n";
    }
  }
  return blocks;
}

std::string without_space(std::string text) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
  return text;
}

}  // namespace

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
