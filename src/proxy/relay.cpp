#include "proxy/relay.hpp"

#include <vector>

namespace farol::proxy {
namespace {

using Status = IoResult::Status;

/// The part of a read that the sink would not take at once: kept aside, for the thread's buffer is not ours across a
/// wait.
Task<bool> write_rest(Channel& to, std::vector<std::byte> rest, Link& link, std::atomic<std::uint64_t>& bytes) {
  std::span<const std::byte> left(rest);
  while (!left.empty()) {
    const IoResult sent = to.write(left);
    if (sent.status == Status::ok) {
      left = left.subspan(sent.bytes);
      bytes.fetch_add(sent.bytes, std::memory_order_relaxed);
      link.touch();
      continue;
    }
    if (sent.status != Status::again) co_return false;
    const Wait wait = co_await to.writable();
    if (wait == Wait::cut) co_return false;
  }
  co_return true;
}

}  // namespace

Task<RelayEnd> relay(Io& io, Channel& from, Channel& to, Link& link, std::atomic<std::uint64_t>& bytes) {
  for (;;) {
    const std::span<std::byte> buffer = io.scratch();
    const IoResult got = from.read(buffer);
    if (got.status == Status::again) {
      const Wait wait = co_await from.readable();
      if (wait == Wait::cut) co_return RelayEnd::source_failed;
      continue;
    }
    if (got.status == Status::eof) {
      to.shutdown_write();
      link.half_closed();
      co_return RelayEnd::eof;
    }
    if (got.status == Status::error) co_return RelayEnd::source_failed;
    link.touch();

    const std::span<const std::byte> data = buffer.first(got.bytes);
    const IoResult sent = to.write(data);
    if (sent.status == Status::error) co_return RelayEnd::sink_failed;
    bytes.fetch_add(sent.bytes, std::memory_order_relaxed);
    if (sent.bytes == data.size()) continue;
    std::vector<std::byte> rest(data.begin() + static_cast<std::ptrdiff_t>(sent.bytes), data.end());
    Task<bool> writing = write_rest(to, std::move(rest), link, bytes);
    const bool written = co_await writing;
    if (!written) co_return RelayEnd::sink_failed;
  }
}

}  // namespace farol::proxy
