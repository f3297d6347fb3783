#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "transfer/sealing.hpp"

namespace farol::fileserver {

/// A file server's membership in its gateway: joins, proves it is still there, joins again. A state machine without
/// sockets or clock: datagrams in, datagrams out, and when it wants to be woken (docs/TRANSFER.md, "Joining").
///
/// All addresses of the gateway's name are tried, the next one a moment after the one before it (as RFC 8305 does it
/// for TCP); the first that accepts is the gateway, and only datagrams from there are taken from then on. Owned by
/// Server. Not thread-safe.
class GatewayLink {
 public:
  static constexpr Duration kStagger = std::chrono::milliseconds(250);
  static constexpr Duration kFirstRetry = std::chrono::milliseconds(250);
  static constexpr Duration kLongestRetry = std::chrono::seconds(1);
  static constexpr Duration kConfirmWithin = std::chrono::seconds(3);

  struct Identity {
    std::string name;
    std::uint64_t boot_id = 0;
  };
  /// What a Heartbeat says besides the time.
  struct Figures {
    std::uint64_t requests = 0;
    std::uint64_t chunks = 0;
    std::uint32_t drops = 0;
  };
  struct Outgoing {
    Address to;
    std::vector<std::uint8_t> datagram;
  };
  enum class Change {
    connected,  ///< in the gateway's pool
    lost,       ///< no word from the gateway for as long as it said
    refused,    ///< it accepted us, but never confirmed
    left,       ///< it said goodbye
  };
  struct Notice {
    Change change;
    Address gateway;
  };
  /// A REQUEST_FILE or CANCEL of the gateway that was joined.
  struct Question {
    std::uint32_t request = 0;
    transfer::Message message;
  };
  using Taken = std::variant<std::monostate, Question, transfer::DropReason>;

  GatewayLink(Identity self, std::function<std::uint64_t()> random);

  /// Where the gateway may be, in the order to try. Starts joining unless joined already.
  void set_gateways(std::vector<Address> gateways, TimePoint now);
  /// Takes one datagram, which is decrypted in place.
  Taken receive(std::span<std::uint8_t> datagram, const Address& from, TimePoint now);
  /// Does what is due.
  void tick(const Figures& figures, TimePoint now);
  [[nodiscard]] TimePoint next_due() const;
  /// Leaves; the gateway sends no more requests.
  void leave();

  [[nodiscard]] std::vector<Outgoing> take_outgoing() { return std::exchange(outgoing_, {}); }
  [[nodiscard]] std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }

  [[nodiscard]] bool joined() const { return session_ && session_->confirmed; }
  /// Since when there is no gateway (kNever: there is one): the owner may look its name up again.
  [[nodiscard]] TimePoint joining_since() const { return joining_since_; }
  /// For answers. REQUIRES: joined().
  [[nodiscard]] transfer::Sealer& sealer() { return session_->sealer; }
  [[nodiscard]] std::uint32_t session_id() const { return session_->id; }
  [[nodiscard]] const Address& gateway() const { return session_->gateway; }

 private:
  /// One address that is asked to let us in.
  struct Attempt {
    Address gateway;
    std::uint32_t request = 0;  ///< the id that its answers must carry
    transfer::Cookie cookie{};
    TimePoint due;
    Duration retry = kFirstRetry;
  };
  struct Session {
    std::uint32_t id = 0;
    Address gateway;
    transfer::Sealer sealer;
    transfer::Opener opener;
    Duration heartbeat;
    Duration silence;
    TimePoint heard;  ///< when the gateway last was, or when it accepted us
    TimePoint next_beat;
    bool confirmed = false;
    bool acknowledged = false;  ///< something came since the last heartbeat
  };

  void join(TimePoint now);
  void ask_to_join(Attempt& attempt, TimePoint now);
  Taken in_handshake(const transfer::Header& header, std::span<std::uint8_t> datagram, const Address& from,
                     TimePoint now);
  Taken in_session(const transfer::Header& header, std::span<std::uint8_t> datagram, const Address& from,
                   TimePoint now);
  void accepted(const transfer::Accept& accept, const Address& from, TimePoint now);
  void beat(const Figures& figures, TimePoint now);
  void end_session(Change why, TimePoint now);
  [[nodiscard]] TimePoint silent_at() const;
  void send(const transfer::Message& message, std::uint32_t session, std::uint32_t request, transfer::Sealer& sealer,
            const Address& to);

  const Identity self_;
  const std::function<std::uint64_t()> random_;
  transfer::Sealer handshake_sealer_;
  transfer::Opener handshake_opener_;
  std::vector<Address> gateways_;
  std::vector<Attempt> attempts_;
  std::optional<Session> session_;
  TimePoint joining_since_ = TimePoint::min();
  std::vector<Outgoing> outgoing_;
  std::vector<Notice> notices_;
};

}  // namespace farol::fileserver
