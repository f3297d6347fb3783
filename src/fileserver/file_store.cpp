#include "fileserver/file_store.hpp"

#include <algorithm>
#include <utility>

namespace farol::fileserver {
namespace {

using transfer::NotFoundReason;
using transfer::VersionTag;

NotFoundReason reason_of(OpenFailure failure) {
  switch (failure) {
    case OpenFailure::not_found:
      return NotFoundReason::not_found;
    case OpenFailure::forbidden:
      return NotFoundReason::forbidden;
    case OpenFailure::not_regular:
      return NotFoundReason::not_regular;
    case OpenFailure::no_resources:
      return NotFoundReason::busy;
    case OpenFailure::io_error:
      break;
  }
  return NotFoundReason::io_error;
}

}  // namespace

FileStore::FileStore(const std::string& root, ContentHashes& hashes) : root_(open_root(root)), hashes_(hashes) {}

FileStore::Found FileStore::open(const std::string& path) {
  if (!transfer::valid_path(path)) return NotFoundReason::bad_request;
  auto opened = open_beneath(root_, path);
  if (const auto* failure = std::get_if<OpenFailure>(&opened)) return reason_of(*failure);
  auto& fresh = std::get<RegularFile>(opened);
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.path == path && entry.file->state() == fresh.state;
  });
  if (same != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, same);
  } else {
    entries_.push_front({path, std::make_shared<const OpenFile>(std::move(fresh))});
    if (entries_.size() > kMostOpen) entries_.pop_back();
  }
  return entries_.front().file;
}

FileStore::Found FileStore::open(const std::string& path, const VersionTag& tag) {
  if (tag != VersionTag{}) {
    if (auto file = find_version(path, tag)) return file;
  }
  Found found = open(path);
  const auto* file = std::get_if<std::shared_ptr<const OpenFile>>(&found);
  if (file != nullptr && !has_tag(**file, tag)) return NotFoundReason::version_changed;
  return found;
}

bool FileStore::has_tag(const OpenFile& file, const VersionTag& tag) {
  if (tag == VersionTag{} || tag == file.stat_tag()) return true;
  const auto hash = hashes_.known(file.state());
  return hash && transfer::content_tag_of(*hash) == tag;
}

std::shared_ptr<const OpenFile> FileStore::find_version(const std::string& path, const VersionTag& tag) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->path != path || !has_tag(*entry->file, tag)) continue;
    if (!entry->file->unchanged()) {
      entries_.erase(entry);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return entries_.front().file;
  }
  return nullptr;
}

transfer::FileInfo FileStore::info(const std::shared_ptr<const OpenFile>& file) {
  return {file->state().size, file->state().mtime_ns, file->stat_tag(), hashes_.ask(file)};
}

}  // namespace farol::fileserver
