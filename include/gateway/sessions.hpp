#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/udp.hpp"
#include "gateway/pool.hpp"
#include "transfer/codec.hpp"
#include "transfer/sealing.hpp"

namespace farol::gateway {

/// The servers' sessions: how one registers (docs/TRANSFER.md), and sealing and opening with its keys. Datagrams in,
/// datagrams out; no sockets, time given. The demultiplexer's; not thread-safe.
///
/// A stranger costs no memory until it has shown, by a cookie, that it receives at its address. A session is in the pool
/// only once a heartbeat sealed with its keys came; then it replaces an older one of the same name.
class Sessions {
 public:
  struct Options {
    std::vector<Cidr> allow;  ///< who may register
    Duration heartbeat = std::chrono::seconds(1);
    Duration silence = std::chrono::seconds(3);       ///< after which a server registers anew
    Duration unconfirmed = std::chrono::seconds(10);  ///< kept for so long
    std::size_t most = 1024;
  };
  using Secret = std::array<std::uint8_t, 32>;
  /// `cookies` is random and this gateway's own; `first_nonce` is where the nonces of handshakes begin.
  Sessions(Options options, const Secret& cookies, std::uint64_t first_nonce);

  struct Joined {
    ServerId id = 0;
    std::string name;
    Address address;
    Duration rtt{};
  };
  /// What one datagram came to.
  struct Arrived {
    std::size_t reply = 0;            ///< bytes to send back where it came from
    std::optional<ServerId> left;     ///< said goodbye, or was replaced by the one that joined
    std::optional<Joined> joined;
    ServerId from = 0;                ///< with a message: of the session
    transfer::Header header;
    std::optional<transfer::Message> message;  ///< its chunk's bytes are in the datagram
    std::optional<transfer::DropReason> dropped;
  };
  /// Opens `datagram` in place. `reply` has room for a datagram.
  Arrived arrived(TimePoint now, const UdpPath& path, std::span<std::uint8_t> datagram, std::span<std::uint8_t> reply);

  /// Seals a message into `out`; its size, or 0 when there is no such session.
  std::size_t seal(ServerId to, RequestId request, const transfer::Message& message, std::span<std::uint8_t> out);
  /// Where to send it. REQUIRES: the session exists.
  [[nodiscard]] const UdpPath& path(ServerId id) const { return sessions_.at(id).path; }
  [[nodiscard]] std::vector<ServerId> confirmed() const;
  void remove(ServerId id) { sessions_.erase(id); }
  [[nodiscard]] std::uint64_t dropped(transfer::DropReason reason) const {
    return dropped_[static_cast<std::size_t>(reason)];
  }

 private:
  struct Session {
    std::string name;
    std::uint64_t boot_id = 0, salt = 0;
    UdpPath path;
    TimePoint accepted{};
    bool confirmed = false;
    transfer::Sealer sealer;
    transfer::Opener opener;
  };
  void open_handshake(TimePoint now, const UdpPath& path, const transfer::Header& header,
                      std::span<std::uint8_t> datagram, std::span<std::uint8_t> reply, Arrived& result);
  void open_session(TimePoint now, const UdpPath& path, const transfer::Header& header,
                    std::span<std::uint8_t> datagram, Arrived& result);
  std::size_t accept(TimePoint now, const UdpPath& path, const transfer::NewConnection& wish, RequestId request,
                     std::span<std::uint8_t> reply, Arrived& result);
  std::size_t seal_handshake(const transfer::Message& message, RequestId request, std::span<std::uint8_t> out);
  void confirm(TimePoint now, ServerId id, Session& session, Arrived& result);
  void drop_unconfirmed(TimePoint now);
  [[nodiscard]] bool allowed(const Address& address) const;
  [[nodiscard]] transfer::Cookie cookie(const Address& address, const transfer::NewConnection& wish,
                                        std::int64_t slot) const;

  const Options options_;
  const Secret cookies_;
  transfer::Sealer handshake_sealer_;
  transfer::Opener handshake_opener_;
  std::map<ServerId, Session> sessions_;
  std::array<std::uint64_t, transfer::kDropReasons> dropped_{};
};

}  // namespace farol::gateway
