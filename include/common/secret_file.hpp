#pragma once

#include <string>

namespace farol {

/// The text of a file that only its owner can read; in $CREDENTIALS_DIRECTORY also its group, for systemd 254 and later
/// gives credentials mode 0440 (with an ACL for the service's user, whose mask shows as the group's bits). Throws
/// StartError, which names `what` the file is ("key file") and what would be right, when others can, or it cannot be
/// read, is no regular file or larger than 64 KiB.
std::string read_secret_file(const std::string& path, const std::string& what);

/// A password for programs: what proves that who gives an order may. Printed nowhere. A value; any thread.
class Token {
 public:
  /// The first line of a file as above: 16 to 256 printable characters without blanks. Throws StartError.
  static Token load(const std::string& path);
  /// The same from its text; `path` is for the error.
  static Token parse(const std::string& text, const std::string& path);

  /// Takes the same time wherever they differ.
  [[nodiscard]] bool is(const std::string& shown) const;
  /// For who has to show it.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  explicit Token(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace farol
