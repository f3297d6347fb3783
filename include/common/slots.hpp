#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace farol {

inline constexpr std::uint32_t kNoSlot = std::numeric_limits<std::uint32_t>::max();

/// Numbered places for things that the kernel is told of. A thing's token, which comes back in an event, names place and
/// stay: it finds the thing while it is there, and nobody afterwards, though the place is taken again. Belongs to one
/// thread.
template <typename Thing>
class Slots {
 public:
  /// Every token is at least this; lower numbers are free for other uses.
  static constexpr std::uint64_t kFirstToken = std::uint64_t{1} << 32;

  /// Throws std::bad_alloc.
  std::uint32_t add(Thing& thing) {
    if (free_ == kNoSlot) {
      slots_.emplace_back();
      free_ = static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = std::exchange(free_, slots_[free_].next_free);
    slots_[slot].thing = &thing;
    return slot;
  }
  void remove(std::uint32_t slot) {
    const std::uint32_t next_stay = slots_[slot].stay + 1;
    slots_[slot] = {nullptr, std::exchange(free_, slot), next_stay == 0 ? 1 : next_stay};
  }
  [[nodiscard]] std::uint64_t token(std::uint32_t slot) const {
    return std::uint64_t{slots_[slot].stay} << 32 | slot;
  }
  [[nodiscard]] Thing* find(std::uint64_t token) const {
    const Slot& slot = slots_[static_cast<std::uint32_t>(token)];
    return slot.stay == token >> 32 ? slot.thing : nullptr;
  }

 private:
  struct Slot {
    Thing* thing = nullptr;
    std::uint32_t next_free = kNoSlot;
    std::uint32_t stay = 1;
  };
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNoSlot;
};

}  // namespace farol
