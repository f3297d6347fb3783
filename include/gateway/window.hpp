#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "transfer/packet.hpp"

namespace farol::gateway {

inline constexpr std::size_t kChunkSize = transfer::kMaxChunk;
inline constexpr std::size_t kSegmentChunks = transfer::kMaskChunks;
inline constexpr std::size_t kSegmentSize = kSegmentChunks * kChunkSize;

using SegmentBuffer = std::unique_ptr<std::uint8_t[]>;

/// The part of a file that is under way to one client: segments of 64 chunks, from where the client reads to as far
/// ahead as chunks were asked for. A segment's buffer exists from the first question for it until the client has it, so
/// memory is bounded by the read-ahead. Pure; not thread-safe.
class Window {
 public:
  /// Bytes [first, end) of a file of `file_size` bytes.
  Window(std::uint64_t first, std::uint64_t end, std::uint64_t file_size);

  /// Chunks of one segment: bit i stands for chunk 64 * segment + i.
  struct Part {
    std::uint64_t segment = 0;
    std::uint64_t mask = 0;
  };
  /// The first, or the last, segment within `ahead` bytes of the reader that has chunks nobody was asked for.
  [[nodiscard]] std::optional<Part> first_wanted(std::uint64_t ahead) const;
  [[nodiscard]] std::optional<Part> last_wanted(std::uint64_t ahead) const;
  /// What is still missing of the segment that the reader needs next, asked for or not.
  [[nodiscard]] std::optional<Part> head() const;
  /// How far ahead of the reader a segment lies.
  [[nodiscard]] std::uint64_t distance(std::uint64_t segment) const;

  /// A server was asked for these. Asking a second one for the same (a hedge) is counted as well.
  void asked(const Part& part);
  /// One who was asked will not deliver these: unless another was asked too, they are wanted again.
  void returned(const Part& part);

  enum class Stored { fresh, duplicate, malformed };
  Stored store(std::uint64_t chunk, std::span<const std::uint8_t> data);

  /// The next segment in order, when it is complete; its bytes are [offset, offset + size) of the buffer.
  struct Piece {
    SegmentBuffer buffer;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  std::optional<Piece> take();
  /// A buffer that take() gave away, to be used again.
  void recycle(SegmentBuffer buffer);

  [[nodiscard]] std::uint64_t position() const { return position_; }  ///< the first byte not taken yet
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] bool finished() const { return position_ >= end_; }
  [[nodiscard]] std::size_t buffers() const;

 private:
  struct Segment {
    std::uint64_t received = 0;
    std::uint64_t asked = 0;
    std::uint64_t asked_twice = 0;
    SegmentBuffer buffer;
  };
  [[nodiscard]] std::uint64_t wanted(std::uint64_t segment) const;  ///< the chunks that the range touches
  [[nodiscard]] std::uint64_t end_segment(std::uint64_t ahead) const;
  [[nodiscard]] std::uint64_t unasked(std::uint64_t segment) const;
  [[nodiscard]] Segment* find(std::uint64_t segment);

  static constexpr std::size_t kSpares = 8;

  std::uint64_t position_;
  const std::uint64_t end_;
  const std::uint64_t file_size_;
  std::uint64_t first_segment_;     ///< of segments_
  std::deque<Segment> segments_;
  std::vector<SegmentBuffer> spare_;
};

/// How many chunks a mask names.
unsigned count(std::uint64_t mask);
/// The lowest `most` chunks of a mask.
std::uint64_t lowest(std::uint64_t mask, unsigned most);

}  // namespace farol::gateway
