#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace farol::dashboard {

/// One back-end at one moment, as far as the journal is concerned.
struct Sighting {
  std::string id;          ///< unique: "10.1.1.1:80/web"
  std::string_view state;  ///< "up", "down" …: of a literal
  std::string_view cause;  ///< why it is in it: "its service refuses connections"; the same
  std::string_view farewell = {};  ///< why it is gone when it is seen no more, if that says more than `cause`
  bool operator==(const Sighting&) const = default;
};

/// Something that happened to a back-end.
struct Event {
  std::uint64_t number = 0;  ///< rises by one
  std::chrono::system_clock::time_point at;
  std::string backend;
  std::string from, to;  ///< states; `from` is empty when it joined, `to` when it left
  std::string kind;      ///< joined, left, recovered, or the state it is in now
  std::string cause;
};

/// What happened between two looks, each sorted by id. A back-end that serves again after it was out is `recovered`.
/// The numbers and times are for the journal to give. Pure.
std::vector<Event> transitions(const std::vector<Sighting>& before, const std::vector<Sighting>& after);

/// The last kMost events. Not thread-safe: its owner guards it.
class Journal {
 public:
  static constexpr std::size_t kMost = 200;

  /// Compares with the look before. The first look is a beginning: everybody joins.
  void look(std::vector<Sighting> now, std::chrono::system_clock::time_point at);
  /// Oldest first.
  [[nodiscard]] const std::deque<Event>& events() const { return events_; }
  /// Numbers up to this one were given before the last look.
  [[nodiscard]] std::uint64_t before_last_look() const { return before_last_look_; }

 private:
  std::vector<Sighting> seen_;
  std::deque<Event> events_;
  std::uint64_t last_ = 0;
  std::uint64_t before_last_look_ = 0;
};

/// Those above `number` as a JSON array, oldest first; `at_ms` is the wall clock's. Pure.
std::string events_json(const Journal& journal, std::uint64_t number);

}  // namespace farol::dashboard
