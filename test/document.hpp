#pragma once

#include <catch2/catch.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace farol::test {

/// A file of this repository. REQUIRES: run from the repository's root when compiled with a relative path.
inline std::string read_repository_file(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path();
  std::ifstream file(root / name);
  INFO("reading " << (root / name) << " (run the tests from the repository's root)");
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The fenced blocks of a page by what stands behind their opening fence.
inline std::map<std::string, std::string> blocks_of(const std::string& page) {
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

/// The words behind `before` at the beginning of a line: names behind "# TYPE ", or in the first column of a page's tables.
inline std::set<std::string> names_in(const std::string& text, const std::string& before) {
  std::set<std::string> names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(before))
      names.insert(line.substr(before.size(), line.find_first_of(" `", before.size()) - before.size()));
  return names;
}

inline bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

inline std::string without_space(std::string text) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
  return text;
}

}  // namespace farol::test
