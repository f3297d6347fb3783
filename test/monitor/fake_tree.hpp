#pragma once

#include "common/temporary_directory.hpp"

/// A pretended /proc and /sys.
class FakeTree : public farol::test::TemporaryDirectory {
 public:
  /// `path` begins with a slash.
  void put(const std::string& path, const std::string& text) const { write(path, text); }
  void remove(const std::string& path) const { std::filesystem::remove(at(path)); }
};
