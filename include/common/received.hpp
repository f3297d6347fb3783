#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace farol {

/// Whoever lends buffers to receives; belongs to one thread.
class BufferLender {
 public:
  virtual void take_back(unsigned buffer) = 0;

 protected:
  ~BufferLender() = default;
};

/// Bytes that a receive brought, on their way to a send. They lie in a buffer of the engine's that other connections use
/// as well: send or copy them before any wait but that send; an engine that has to wait there moves them into memory of
/// their own. One coroutine, on one thread.
class Received {
 public:
  Received() = default;
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
  ~Received() { clear(); }

  [[nodiscard]] std::span<const std::byte> data() const { return data_; }
  [[nodiscard]] bool empty() const { return data_.empty(); }
  /// The first `count` bytes are done with; after the last one the buffer goes back.
  void drop(std::size_t count) {
    data_ = data_.subspan(count);
    if (data_.empty()) clear();
  }

  // For engines.
  /// Bytes in memory that stays until the next wait.
  void refer_to(std::span<const std::byte> data) {
    clear();
    data_ = data;
  }
  /// Bytes in a lent buffer.
  void hold(std::span<const std::byte> data, BufferLender& lender, unsigned buffer) {
    refer_to(data);
    lender_ = &lender;
    buffer_ = buffer;
  }
  /// Memory of their own, to receive into. Throws std::bad_alloc.
  std::span<std::byte> own(std::size_t size) {
    clear();
    own_ = std::make_unique_for_overwrite<std::byte[]>(size);
    return {own_.get(), size};
  }
  /// That many bytes have come into it.
  void filled(std::size_t size) { data_ = {own_.get(), size}; }
  /// Moves what is left into memory of its own. Throws std::bad_alloc.
  void keep();
  [[nodiscard]] bool kept() const { return own_ != nullptr; }

 private:
  void clear() {
    if (lender_ != nullptr) std::exchange(lender_, nullptr)->take_back(buffer_);
    own_.reset();
    data_ = {};
  }

  std::span<const std::byte> data_;
  BufferLender* lender_ = nullptr;
  unsigned buffer_ = 0;
  std::unique_ptr<std::byte[]> own_;
};

inline void Received::keep() {
  if (kept()) return;
  auto memory = std::make_unique_for_overwrite<std::byte[]>(data_.size());
  std::copy(data_.begin(), data_.end(), memory.get());
  const std::size_t size = data_.size();
  clear();
  own_ = std::move(memory);
  filled(size);
}

}  // namespace farol
