#pragma once

#include <list>
#include <memory>
#include <string>
#include <variant>

#include "common/files.hpp"
#include "fileserver/content_hashes.hpp"
#include "transfer/codec.hpp"

namespace farol::fileserver {

/// The files that a server offers: regular files below one directory, opened by paths that come from the network.
///
/// Descriptors stay open for a while, each with the version it was opened in: a download that began before its file was
/// replaced (renamed over) goes on with the old one. A file that was written to in place has no old version; that is
/// noticed and said.
/// Owned by main; borrows `hashes`. Not thread-safe.
class FileStore {
 public:
  static constexpr std::size_t kMostOpen = 128;

  /// Throws StartError.
  FileStore(const std::string& root, ContentHashes& hashes);

  using Found = std::variant<std::shared_ptr<const OpenFile>, transfer::NotFoundReason>;
  /// What the path leads to now.
  Found open(const std::string& path);
  /// The version with this tag (all zero: any), or version_changed.
  Found open(const std::string& path, const transfer::VersionTag& tag);

  /// What there is to say about a file, and a hint to find out its hash.
  transfer::FileInfo info(const std::shared_ptr<const OpenFile>& file);

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<const OpenFile> file;
  };
  bool has_tag(const OpenFile& file, const transfer::VersionTag& tag);
  std::shared_ptr<const OpenFile> find_version(const std::string& path, const transfer::VersionTag& tag);

  const Fd root_;
  ContentHashes& hashes_;
  std::list<Entry> entries_;  ///< the most recently used first
};

}  // namespace farol::fileserver
