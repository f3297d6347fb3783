#include "gateway/window.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace farol::gateway {
namespace {

/// Bits [from, to).
std::uint64_t bits(std::uint64_t from, std::uint64_t to) {
  const auto below = [](std::uint64_t n) { return n >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1; };
  return below(to) & ~below(from);
}

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace

unsigned count(std::uint64_t mask) { return static_cast<unsigned>(std::popcount(mask)); }

std::uint64_t lowest(std::uint64_t mask, unsigned most) {
  std::uint64_t result = 0;
  for (; most > 0 && mask != 0; --most) {
    result |= mask & -mask;
    mask &= mask - 1;
  }
  return result;
}

Window::Window(std::uint64_t first, std::uint64_t end, std::uint64_t file_size)
    : position_(first), end_(std::min(end, file_size)), file_size_(file_size), first_segment_(first / kSegmentSize) {}

std::uint64_t Window::wanted(std::uint64_t segment) const {
  if (finished()) return 0;
  const std::uint64_t base = segment * kSegmentChunks;
  const std::uint64_t first = position_ / kChunkSize, end = divide_up(end_, kChunkSize);
  return bits(first > base ? std::min<std::uint64_t>(first - base, kSegmentChunks) : 0,
              end > base ? std::min<std::uint64_t>(end - base, kSegmentChunks) : 0);
}

/// One above the last segment that may be asked for. The reader's own always may.
std::uint64_t Window::end_segment(std::uint64_t ahead) const {
  if (finished()) return first_segment_;
  const std::uint64_t to = end_ - position_ > ahead ? position_ + ahead : end_;
  return std::max(divide_up(to, kSegmentSize), first_segment_ + 1);
}

std::uint64_t Window::unasked(std::uint64_t segment) const {
  const std::uint64_t at = segment - first_segment_;
  if (at >= segments_.size()) return wanted(segment);
  return wanted(segment) & ~segments_[at].received & ~segments_[at].asked;
}

std::optional<Window::Part> Window::first_wanted(std::uint64_t ahead) const {
  for (std::uint64_t segment = first_segment_; segment < end_segment(ahead); ++segment)
    if (const std::uint64_t mask = unasked(segment); mask != 0) return Part{segment, mask};
  return std::nullopt;
}

std::optional<Window::Part> Window::last_wanted(std::uint64_t ahead) const {
  for (std::uint64_t segment = end_segment(ahead); segment-- > first_segment_;)
    if (const std::uint64_t mask = unasked(segment); mask != 0) return Part{segment, mask};
  return std::nullopt;
}

std::optional<Window::Part> Window::head() const {
  if (finished()) return std::nullopt;
  return Part{first_segment_, wanted(first_segment_) & ~(segments_.empty() ? 0 : segments_.front().received)};
}

std::uint64_t Window::distance(std::uint64_t segment) const {
  const std::uint64_t at = segment * kSegmentSize;
  return at > position_ ? at - position_ : 0;
}

Window::Segment* Window::find(std::uint64_t segment) {
  const std::uint64_t at = segment - first_segment_;
  return segment < first_segment_ || at >= segments_.size() ? nullptr : &segments_[at];
}

void Window::asked(const Part& part) {
  if (part.segment < first_segment_) return;
  if (part.segment - first_segment_ >= segments_.size()) segments_.resize(part.segment - first_segment_ + 1);
  Segment& segment = segments_[part.segment - first_segment_];
  segment.asked_twice |= segment.asked & part.mask;
  segment.asked |= part.mask;
  if (segment.buffer) return;
  if (spare_.empty()) {
    segment.buffer = SegmentBuffer(new std::uint8_t[kSegmentSize]);  // not make_unique: it would zero it
  } else {
    segment.buffer = std::move(spare_.back());
    spare_.pop_back();
  }
}

void Window::returned(const Part& part) {
  Segment* const segment = find(part.segment);
  if (segment == nullptr) return;
  const std::uint64_t still_asked = part.mask & segment->asked_twice;
  segment->asked_twice &= ~part.mask;
  segment->asked &= ~(part.mask & ~still_asked);
}

Window::Stored Window::store(std::uint64_t chunk, std::span<const std::uint8_t> data) {
  const std::uint64_t at = chunk * kChunkSize;
  if (chunk > file_size_ / kChunkSize || at >= file_size_ ||
      data.size() != std::min<std::uint64_t>(kChunkSize, file_size_ - at))
    return Stored::malformed;
  Segment* const segment = find(chunk / kSegmentChunks);
  const std::uint64_t bit = std::uint64_t{1} << (chunk % kSegmentChunks);
  if (segment == nullptr || !segment->buffer || (segment->received & bit) != 0) return Stored::duplicate;
  segment->received |= bit;
  std::memcpy(segment->buffer.get() + chunk % kSegmentChunks * kChunkSize, data.data(), data.size());
  return Stored::fresh;
}

std::optional<Window::Piece> Window::take() {
  if (finished() || segments_.empty()) return std::nullopt;
  const std::uint64_t needed = wanted(first_segment_);
  if ((segments_.front().received & needed) != needed) return std::nullopt;
  const std::uint64_t base = first_segment_ * kSegmentSize;
  const std::uint64_t stop = std::min(base + kSegmentSize, end_);
  Piece piece{std::move(segments_.front().buffer), static_cast<std::size_t>(position_ - base),
              static_cast<std::size_t>(stop - position_)};
  segments_.pop_front();
  ++first_segment_;
  position_ = stop;
  return piece;
}

void Window::recycle(SegmentBuffer buffer) {
  if (buffer && spare_.size() < kSpares) spare_.push_back(std::move(buffer));
}

std::size_t Window::buffers() const {
  return spare_.size() + static_cast<std::size_t>(std::count_if(segments_.begin(), segments_.end(), [](const Segment& s) {
           return s.buffer != nullptr;
         }));
}

}  // namespace farol::gateway
