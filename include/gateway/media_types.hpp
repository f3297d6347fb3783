#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace farol::gateway {

/// Content types by file name extension: a small table of our own, and over it the system's (/etc/mime.types, package
/// media-types). Constant after construction; any thread.
class MediaTypes {
 public:
  /// The table of our own alone.
  MediaTypes();
  /// With the lines of a mime.types file ("type/subtype ext ext …"); what cannot be read or understood is left out.
  static MediaTypes load(const std::string& file = "/etc/mime.types");

  /// By the longest known extension ("tar.gz" before "gz"), in any case; else application/octet-stream.
  [[nodiscard]] std::string_view of(std::string_view path) const;

 private:
  void add_line(std::string_view line);

  std::unordered_map<std::string, std::string> by_extension_;
};

}  // namespace farol::gateway
