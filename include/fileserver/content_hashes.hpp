#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "common/files.hpp"
#include "common/mutex.hpp"
#include "common/stop_event.hpp"
#include "transfer/packet.hpp"

namespace farol::fileserver {

/// A regular file that is open, with the state it was opened in. Constant; any thread.
class OpenFile {
 public:
  explicit OpenFile(RegularFile file);

  [[nodiscard]] const FileState& state() const { return file_.state; }
  [[nodiscard]] const transfer::VersionTag& stat_tag() const { return stat_tag_; }
  /// False once the file has been written to, truncated, touched …; true when it only was removed or renamed over.
  [[nodiscard]] bool unchanged() const;
  /// Fills all buffers from `offset` on; false when the file does not give that much.
  [[nodiscard]] bool read(std::uint64_t offset, std::span<iovec> buffers) const;

 private:
  const RegularFile file_;
  const transfer::VersionTag stat_tag_;
};

/// The SHA-256 of files, so that servers can compare what they hold by content. Small files are hashed when first asked
/// about, larger ones on a thread of their own that runs only when the machine has nothing better to do.
///
/// A hash belongs to a FileState. It is kept only when the file did not change while it was read and had not been
/// written to just before: two writes within one tick of the file system's clock cannot be told apart. Owned by main.
/// Thread safety: run() has one thread, any thread asks. mutex_ guards the results and the queue; nothing is read under
/// it.
class ContentHashes {
 public:
  static constexpr std::uint64_t kAtOnce = 8 * 1024 * 1024;  ///< bytes: some milliseconds of hashing
  static constexpr std::size_t kMostHashes = 65536, kMostQueued = 256;
  static constexpr Duration kSettled = std::chrono::milliseconds(50);

  /// The hash if it is known or can be had at once; else it is put in the queue.
  std::optional<transfer::Sha256> ask(const std::shared_ptr<const OpenFile>& file);
  /// The hash if it is known.
  std::optional<transfer::Sha256> known(const FileState& state);
  /// Hashes what is in the queue, until the stop.
  void run(const StopEvent& stop);

 private:
  void hash_one(const OpenFile& file, const StopEvent& stop);
  void remember(const FileState& state, const transfer::Sha256& hash);

  Bell queued_;
  Mutex mutex_;
  std::map<FileState, transfer::Sha256> hashes_ GUARDED_BY(mutex_);
  std::deque<FileState> oldest_first_ GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<const OpenFile>> queue_ GUARDED_BY(mutex_);
  std::set<FileState> in_queue_ GUARDED_BY(mutex_);  ///< or being hashed
};

}  // namespace farol::fileserver
