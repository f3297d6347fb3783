#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "common/address.hpp"
#include "common/spin_mutex.hpp"

namespace farol::proxy {

/// How many connections each source has at once, so that none has too many. A source is an IPv4 address or an IPv6 /64,
/// which is what one customer gets. Remembers those that are here, no others. Owned by the server, outlives the
/// sessions; any thread.
class SourceLimit {
 public:
  explicit SourceLimit(std::uint32_t most) : most_(most) {}

  /// One connection's part of its source's share. Gives it back when it goes.
  class Share {
   public:
    /// False when the source has its share already.
    [[nodiscard]] explicit operator bool() const { return limit_ != nullptr; }
    Share(Share&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)), source_(other.source_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (limit_ != nullptr) limit_->leave(source_);
    }

   private:
    friend class SourceLimit;
    Share(SourceLimit* limit, const Address& source) : limit_(limit), source_(source) {}
    SourceLimit* limit_;
    Address source_;
  };
  Share enter(const Address& client);
  [[nodiscard]] std::size_t sources();
  /// From now on; those beyond it stay. 0: as many as it likes.
  void change(std::uint32_t most) { most_.store(most, std::memory_order_relaxed); }

 private:
  void leave(const Address& source);

  std::atomic<std::uint32_t> most_;
  SpinMutex mutex_;
  std::unordered_map<Address, std::uint32_t> here_ GUARDED_BY(mutex_);
};

}  // namespace farol::proxy
