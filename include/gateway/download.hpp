#pragma once

#include <optional>
#include <string>

#include "common/doorbell.hpp"
#include "gateway/demultiplexer.hpp"
#include "http/body_source.hpp"

namespace farol::gateway {

/// One request's file, as its handler sees it: who has it, which version, and its bytes while they come. Lives with the
/// request or, as the body, with the response; closes the transfer when it goes. One coroutine at a time.
class Download final : public http::BodySource, private Waiter {
 public:
  /// Starts to look for the file. Throws std::system_error when there is no descriptor to have.
  Download(Demultiplexer& demultiplexer, Io& io, const std::string& path);
  ~Download() override;

  /// Awaits the version, or the reason why there is none.
  Task<Fetcher::Look> look();
  /// Awaits the first bytes of [first, end), so that a failure until then still has a response of its own.
  Task<std::optional<Failure>> begin(std::uint64_t first, std::uint64_t end);
  Task<std::span<const std::byte>> next(Io& io) override;

  /// Bytes given away so far.
  [[nodiscard]] std::uint64_t given() const { return given_; }
  [[nodiscard]] std::optional<Failure> failure() const { return failure_; }
  [[nodiscard]] Demultiplexer::Tally tally() { return demultiplexer_.tally(id_); }

 private:
  void ring() noexcept override { bell_.ring(); }
  Task<> take();

  Demultiplexer& demultiplexer_;
  Doorbell bell_;
  const TransferId id_;
  std::optional<Window::Piece> piece_;
  bool fresh_ = false;  ///< piece_ has not been given away yet
  std::uint64_t given_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace farol::gateway
