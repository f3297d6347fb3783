#pragma once

#include <unordered_map>
#include <vector>

#include "common/histogram.hpp"
#include "gateway/pool.hpp"
#include "gateway/window.hpp"

namespace farol::gateway {

using TransferId = std::uint64_t;

/// One RequestFile for chunks of one segment.
struct Ask {
  RequestId id = 0;
  ServerId server = 0;
  TransferId transfer = 0;
  Window::Part part;           ///< what was asked for
  std::uint64_t pending = 0;   ///< of its mask: neither here nor given up
  std::uint64_t sequence = 0;  ///< the place of its first chunk in the server's sequence
  TimePoint sent{};
  bool answered = false;  ///< a chunk of it came: the round trip has been measured
  bool hedged = false;    ///< a second server was asked for the same
  TimePoint forget = kNever;  ///< it is over; until then late chunks are still welcome
};

/// What was asked of the servers and is still owed, and when it must be held for lost (RFC 9002, 6): by a gap in the
/// sequence that a server's chunks come in, by an eighth of a round trip after a later one came, or by silence.
/// The receiver can decide this alone since a server answers in the order it is asked. Never touches a window: what is
/// given up is handed back. Not thread-safe; Fetcher's.
class Asks {
 public:
  /// Chunks that a transfer must ask for anew.
  struct Returned {
    TransferId transfer;
    Window::Part part;
  };
  using Returns = std::vector<Returned>;

  Ask& add(TimePoint now, Server& server, TransferId transfer, const Window::Part& part, RequestId id);
  /// An ask of this server's, live or lately over.
  [[nodiscard]] Ask* find(RequestId id, ServerId server);

  /// A chunk of the ask came. False when it was not owed any more: late, or a duplicate.
  bool delivered(TimePoint now, Server& server, Ask& ask, unsigned bit, Returns& returns);
  /// The server will not answer this ask.
  void refused(TimePoint now, Server& server, Ask& ask, Returns& returns);
  /// Nothing more is expected of this server.
  void give_up(TimePoint now, Server& server, Returns& returns);
  /// Lets time have its effect on one server's asks. True when it has been silent for too long.
  bool advance(TimePoint now, Server& server, Returns& returns);
  [[nodiscard]] TimePoint next_deadline(const Server& server) const;
  /// From a question to its first chunk.
  [[nodiscard]] HistogramCounts round_trips() const { return round_trips_.counts(); }
  /// Drops what is over and too old to matter.
  void forget(TimePoint now);

 private:
  void lose(TimePoint now, Server& server, Ask& ask, std::uint64_t mask, Returns& returns);
  void lose_up_to(TimePoint now, Server& server, std::uint64_t sequence, Returns& returns);
  void finish(TimePoint now, Server& server, Ask& ask);
  [[nodiscard]] TimePoint reordered_until(const Server& server) const;
  [[nodiscard]] TimePoint silent_at(const Server& server) const;

  std::unordered_map<RequestId, Ask> asks_;
  TimePoint next_forget_{};
  Histogram round_trips_{kMomentBounds};
};

}  // namespace farol::gateway
