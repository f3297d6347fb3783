#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "common/clock.hpp"
#include "common/io.hpp"
#include "common/spin_mutex.hpp"
#include "proxy/connection_meter.hpp"

namespace farol::proxy {

/// The two sockets of one session, with its clock: what both relays share and what the engine supervises. Owned by the
/// Session. The relays touch it on every read; the engine asks and cuts from its own thread.
class Link final : public Supervised {
 public:
  struct Limits {
    Duration idle{};  ///< no byte in either direction for this long ends the session; zero: never
    Duration fin{};   ///< the same once one side has closed its half
    Duration user{};  ///< a peer that has not answered for this long is gone; zero: never
    Duration lifetime{};  ///< of a session, whatever it does; zero: any
  };
  enum class End : std::uint8_t { open, timed_out, server_gone, too_old, drained, cut };
  enum class Side : std::uint8_t { client, server };

  /// The limits outlive it.
  Link(Io& io, Fd client, const Limits& limits) : limits_(limits), client_(io, std::move(client)) {}

  [[nodiscard]] Channel& client() { return client_; }
  /// REQUIRES: open_server() was called. Only the session replaces it, and only while no relay runs.
  [[nodiscard]] Channel& server() NO_THREAD_SAFETY_ANALYSIS { return *server_; }
  [[nodiscard]] Channel& channel(Side side) { return side == Side::client ? client() : server(); }
  /// Takes the socket of a connection attempt, in place of the previous one.
  void open_server(Fd socket);
  void close_server();
  /// From here on the limits count, from when the meter's connection stood, and the meter hears who speaks. It outlives
  /// the relays.
  void start(ConnectionMeter& meter) {
    meter_ = &meter;
    touch_at(meter.connected_at());
    if (limits_.user > Duration::zero()) look_at_ = meter.connected_at() + limits_.user / 2;
    started_.store(true, std::memory_order_release);
  }

  /// A byte moved. Cheap: any thread, many times a second.
  void touch() { touch_at(Clock::now()); }
  /// The same, when it was read from this side.
  void touch(Side speaker) {
    const TimePoint now = Clock::now();
    touch_at(now);
    if (speaker == Side::client)
      meter_->client_spoke(now);
    else
      meter_->server_spoke(now);
  }
  /// One side has closed its half: from here on the FIN limit counts. True when the other side had already.
  bool half_close(Side side) {
    const std::uint8_t closed = side == Side::client ? kHalfClosed | kClientClosed : kHalfClosed;
    return (closed_.fetch_or(closed, std::memory_order_relaxed) & kHalfClosed) != 0;
  }
  /// The client has closed its half, or all.
  [[nodiscard]] bool client_closed() const { return (closed_.load(std::memory_order_relaxed) & kClientClosed) != 0; }
  /// Until when the last bytes to a side whose other half is closed may take.
  [[nodiscard]] TimePoint fin_deadline(TimePoint now) const;

  /// Ends the session from within: wakes the relay that still waits. `reset_server`: carry a client's reset on.
  void finish(bool reset_server);
  [[nodiscard]] End end() const { return end_.load(); }

  /// True again and again once the session is being ended. Before start(): that the client has reset its connection.
  bool expired(TimePoint now) override;
  /// Ends the session: wakes both relays, which do nothing more. A side that bytes were under way to sees a reset, for a
  /// FIN would pass for the end of the stream; the other one sees a FIN. To be repeated until they have ended.
  void cut(bool timed_out) override;

 private:
  static constexpr std::uint8_t kHalfClosed = 1, kClientClosed = 2;  ///< bits of closed_
  static constexpr std::uint8_t kCutClient = 4, kCutServer = 8;      ///< in the middle of what was under way to it

  enum class Ending : std::uint8_t { fin, reset, reset_now };
  [[nodiscard]] Ending ending(const Channel& sink, const Channel& source, std::uint8_t cut_in_the_middle);
  static void end_side(const Channel& side, Ending how);
  [[nodiscard]] bool too_old(TimePoint now) const;
  [[nodiscard]] Duration limit(bool half_closed) const;
  bool silent(TimePoint now);
  std::optional<Side> vanished(TimePoint now);
  [[nodiscard]] std::uint32_t acknowledged();
  void touch_at(TimePoint now) {
    last_activity_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }

  // In this order there are no gaps: an idle session is mostly this.
  SpinMutex mutex_;
  const Limits& limits_;
  std::atomic<Clock::rep> last_activity_{0};
  ConnectionMeter* meter_ = nullptr;
  std::atomic<std::uint8_t> closed_{0};
  std::atomic<bool> started_{false};
  std::atomic<End> end_{End::open};
  // From here to the channels: of expired() alone.
  bool half_silent_ : 1 = false;
  bool probing_ : 1 = false;
  std::uint32_t acknowledged_ = 0;  ///< by both peers, when the second half of a silence began
  TimePoint look_at_ = kNever;      ///< when the peers may have been silent for too long
  Channel client_;
  std::optional<Channel> server_ GUARDED_BY(mutex_);
};

}  // namespace farol::proxy
