#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "fileserver/file_store.hpp"
#include "transfer/sealing.hpp"

namespace farol::fileserver {

/// Datagrams that go out with one system call: `segment` bytes each, the last one perhaps shorter. A view of the
/// responder's buffer, good until the next burst is asked for.
struct Burst {
  std::span<const std::uint8_t> bytes;
  std::size_t segment = 0;
};

/// Turns requests into bursts, one after another: FILE_INFO or an error is a burst of one, the chunks of a full request
/// are two. File bytes are read straight into the datagrams and sealed there. No sockets; time is given.
/// Owned by Server; borrows `files`. Not thread-safe.
class Responder {
 public:
  static constexpr unsigned kBurstChunks = 32;
  static constexpr std::size_t kMostQueued = 256;   ///< beyond it requests are answered with `busy`
  static constexpr std::size_t kMostRefused = 256;  ///< beyond this many of those they are dropped

  explicit Responder(FileStore& files) : files_(files) {}

  void ask(std::uint32_t request, transfer::RequestFile what);
  void cancel(std::uint32_t request, std::uint64_t mask);
  /// Forgets what is queued: the session is over.
  void clear();

  /// The next burst that is due, sealed for this session; empty when there is none now.
  std::optional<Burst> next(transfer::Sealer& sealer, std::uint32_t session, TimePoint now);
  /// When there is one again; kNever when nothing is queued.
  [[nodiscard]] TimePoint next_due() const { return jobs_.empty() ? kNever : next_burst_; }

  /// A request that ended in an error, for the log.
  struct Refusal {
    std::string path;
    transfer::NotFoundReason reason;
  };
  std::vector<Refusal> take_refusals() { return std::exchange(refusals_, {}); }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] std::uint64_t chunks() const { return chunks_; }

 private:
  struct Job {
    std::uint32_t request = 0;
    transfer::RequestFile what;
    std::shared_ptr<const OpenFile> file;
    std::optional<transfer::NotFoundReason> refused;
  };

  void open(Job& job);
  std::optional<Burst> chunk_burst(Job& job, transfer::Sealer& sealer, std::uint32_t session);
  Burst single(const transfer::Message& message, std::uint32_t request, transfer::Sealer& sealer,
               std::uint32_t session);

  FileStore& files_;
  std::deque<Job> jobs_;
  std::size_t refused_ = 0;  ///< of jobs_
  TimePoint next_burst_ = TimePoint::min();
  std::vector<Refusal> refusals_;
  std::uint64_t requests_ = 0;
  std::uint64_t chunks_ = 0;
  std::array<std::uint8_t, kBurstChunks * transfer::kMaxDatagram> buffer_{};
};

}  // namespace farol::fileserver
