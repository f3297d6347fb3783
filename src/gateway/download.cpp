#include "gateway/download.hpp"

namespace farol::gateway {
namespace {

/// Longer than any time-out of the Fetcher, which decides: only to end a wait whatever happens.
constexpr Duration kPatience = std::chrono::minutes(2);

}  // namespace

Download::Download(Demultiplexer& demultiplexer, Io& io, const std::string& path)
    : demultiplexer_(demultiplexer), bell_(io), id_(demultiplexer.open(path, *this)) {}

Download::~Download() { demultiplexer_.finish(id_); }

Task<Fetcher::Look> Download::look() {
  Fetcher::Look look;
  for (;;) {
    bell_.clear();
    look = demultiplexer_.look(id_);
    if (look.version || look.failure) break;
    const Wait wait = co_await bell_.rung(Clock::now() + kPatience);
    if (wait == Wait::ready) continue;
    look.failure = Failure::no_answer;
    break;
  }
  failure_ = look.failure;
  co_return look;
}

Task<std::optional<Failure>> Download::begin(std::uint64_t first, std::uint64_t end) {
  demultiplexer_.fetch(id_, first, end);
  Task<> taking = take();
  co_await taking;
  fresh_ = piece_.has_value();
  co_return failure_;
}

Task<std::span<const std::byte>> Download::next(Io&) {
  if (!std::exchange(fresh_, false)) {
    Task<> taking = take();
    co_await taking;
  }
  std::span<const std::byte> bytes;
  if (piece_) bytes = std::as_bytes(std::span(piece_->buffer.get() + piece_->offset, piece_->size));
  given_ += bytes.size();
  co_return bytes;
}

/// Awaits the next piece; the one before goes back. Without one, failure_ says why.
Task<> Download::take() {
  SegmentBuffer used = piece_ ? std::move(piece_->buffer) : nullptr;
  piece_.reset();
  while (!piece_ && !failure_) {
    bell_.clear();
    Fetcher::Taken taken = demultiplexer_.take(id_, std::move(used));
    piece_ = std::move(taken.piece);
    failure_ = taken.failure;
    if (piece_ || failure_) break;
    const Wait wait = co_await bell_.rung(Clock::now() + kPatience);
    if (wait != Wait::ready) failure_ = Failure::no_answer;
  }
}

}  // namespace farol::gateway
