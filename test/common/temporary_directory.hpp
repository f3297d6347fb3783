#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace farol::test {

/// A directory of the test's own under the system's temporary one, gone at its end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "farol-").string() + std::string(6, 'X');  // mkdtemp(3)
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string root() const { return path_.string(); }
  /// Slashes at the beginning of `name` do not leave the directory.
  [[nodiscard]] std::filesystem::path at(const std::string& name) const { return path_.string() + "/" + name; }
  /// Writes a file, with the directories above it.
  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(at(name).parent_path());
    std::ofstream(at(name), std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace farol::test
