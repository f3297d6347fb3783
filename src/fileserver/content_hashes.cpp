#include "fileserver/content_hashes.hpp"

#include <openssl/evp.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include "transfer/codec.hpp"

namespace farol::fileserver {
namespace {

constexpr std::size_t kBlock = 1024 * 1024;

void require(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot do SHA-256");
}

/// Negative when the last change is long enough ago. Files from the future (another machine's clock) never settle.
std::chrono::nanoseconds until_settled(const FileState& state) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(state.ctime_ns) + ContentHashes::kSettled - now;
}

/// Empty when the file cannot be read, is changing, or `stop` fires.
std::optional<transfer::Sha256> hash_of(const OpenFile& file, const StopEvent* stop) {
  static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> sha256(EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                                      &EVP_MD_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  require(sha256 && context && EVP_DigestInit_ex2(context.get(), sha256.get(), nullptr) == 1);
  const std::uint64_t size = file.state().size;
  std::vector<std::uint8_t> block(static_cast<std::size_t>(std::min<std::uint64_t>(size, kBlock)));
  for (std::uint64_t at = 0; at < size; at += block.size()) {
    if (stop != nullptr && stop->fired()) return std::nullopt;
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - at));
    iovec buffer{block.data(), length};
    if (!file.read(at, {&buffer, 1})) return std::nullopt;
    require(EVP_DigestUpdate(context.get(), block.data(), length) == 1);
  }
  transfer::Sha256 hash{};
  require(EVP_DigestFinal_ex(context.get(), hash.data(), nullptr) == 1);
  if (!file.unchanged()) return std::nullopt;
  return hash;
}

}  // namespace

OpenFile::OpenFile(RegularFile file)
    : file_(std::move(file)), stat_tag_(transfer::stat_tag_of(file_.state.size, file_.state.mtime_ns)) {}

bool OpenFile::unchanged() const {
  FileState now;
  if (!read_state(file_.fd, now)) return false;
  const FileState& then = file_.state;
  if (now.size != then.size || now.mtime_ns != then.mtime_ns) return false;
  // Whoever sets the old mtime after a write is found out by the ctime; to lose a name changes that as well,
  // harmlessly.
  return now.ctime_ns == then.ctime_ns || now.links < then.links;
}

bool OpenFile::read(std::uint64_t offset, std::span<iovec> buffers) const {
  return read_fully(file_.fd, offset, buffers);
}

std::optional<transfer::Sha256> ContentHashes::known(const FileState& state) {
  MutexLock lock(mutex_);
  const auto found = hashes_.find(state);
  if (found == hashes_.end()) return std::nullopt;
  return found->second;
}

std::optional<transfer::Sha256> ContentHashes::ask(const std::shared_ptr<const OpenFile>& file) {
  if (auto hash = known(file->state())) return hash;
  if (file->state().size <= kAtOnce && until_settled(file->state()) <= std::chrono::nanoseconds::zero()) {
    const auto hash = hash_of(*file, nullptr);
    if (hash) remember(file->state(), *hash);
    return hash;
  }
  {
    MutexLock lock(mutex_);
    if (queue_.size() >= kMostQueued || !in_queue_.insert(file->state()).second) return std::nullopt;
    queue_.push_back(file);
  }
  queued_.ring();
  return std::nullopt;
}

void ContentHashes::run(const StopEvent& stop) {
  const sched_param none{};
  (void)::sched_setscheduler(0, SCHED_IDLE, &none);  // this thread; where it is refused it competes like any other
  while (!stop.fired()) {
    queued_.clear();
    std::shared_ptr<const OpenFile> file;
    {
      MutexLock lock(mutex_);
      if (!queue_.empty()) {
        file = queue_.front();
        queue_.pop_front();
      }
    }
    if (file == nullptr) {
      if (wait_readable(queued_.fd(), stop, kNever) == Wake::stop) return;
      continue;
    }
    hash_one(*file, stop);
    MutexLock lock(mutex_);
    in_queue_.erase(file->state());
  }
}

void ContentHashes::hash_one(const OpenFile& file, const StopEvent& stop) {
  const auto wait = std::min<std::chrono::nanoseconds>(until_settled(file.state()), kSettled);
  if (wait > std::chrono::nanoseconds::zero() && stop.wait_until(Clock::now() + wait)) return;
  if (until_settled(file.state()) > std::chrono::nanoseconds::zero()) return;
  if (const auto hash = hash_of(file, &stop)) remember(file.state(), *hash);
}

void ContentHashes::remember(const FileState& state, const transfer::Sha256& hash) {
  MutexLock lock(mutex_);
  if (!hashes_.emplace(state, hash).second) return;
  oldest_first_.push_back(state);
  if (oldest_first_.size() <= kMostHashes) return;
  hashes_.erase(oldest_first_.front());
  oldest_first_.pop_front();
}

}  // namespace farol::fileserver
