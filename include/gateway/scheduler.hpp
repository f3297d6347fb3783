#pragma once

#include <optional>
#include <vector>

#include "gateway/pool.hpp"
#include "gateway/transfer.hpp"

namespace farol::gateway {

/// Which server is asked for which chunks next: functions over the pool and the transfers, which change nothing.
///
/// The transfer with the least in flight goes first, so that all share the pool fairly. Its lowest missing segment goes
/// to the server that is expected to deliver it first: (in flight + asked) / rate + round trip. A slow server is given
/// only what it can deliver before the reader gets there, or it would hold up everybody else's work. A server whose
/// last answers did not come, or that was too slow for anything lately, gets four chunks from the far end of the window,
/// where waiting for them costs nothing. (A probe that short shows that it is alive; it does not raise its rate.)

struct Question {
  Server* server = nullptr;
  Window::Part part;
};

/// The transfer that is next in turn, of those that `more` holds; null when it is empty.
Transfer* next_in_turn(const std::vector<Transfer*>& more);

/// What to ask for this transfer, at most `budget` chunks; nothing when no server has room or no chunk is wanted.
std::optional<Question> next_question(TimePoint now, const Transfer& transfer, Pool& pool, std::uint64_t ahead,
                                      unsigned budget);

/// Another server for chunks that are still pending of `late`, if it would have had them twice over by now.
std::optional<Question> next_hedge(TimePoint now, const Transfer& transfer, Pool& pool, const Ask& late,
                                   unsigned budget);

}  // namespace farol::gateway
