#include "fileserver/gateway_link.hpp"

#include <algorithm>

namespace farol::fileserver {
namespace {

using transfer::Direction;
using transfer::DropReason;
using transfer::Header;
using transfer::PacketType;

std::uint64_t microseconds(TimePoint time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

}  // namespace

GatewayLink::GatewayLink(Identity self, std::function<std::uint64_t()> random)
    : self_(std::move(self)),
      random_(std::move(random)),
      handshake_sealer_(transfer::handshake_key(transfer::published_secret(), Direction::server_to_gateway), random_()),
      handshake_opener_(transfer::handshake_key(transfer::published_secret(), Direction::gateway_to_server),
                        transfer::Opener::Replays::taken) {}

void GatewayLink::set_gateways(std::vector<Address> gateways, TimePoint now) {
  if (gateways == gateways_) return;
  gateways_ = std::move(gateways);
  if (!session_) join(now);
}

void GatewayLink::join(TimePoint now) {
  attempts_.clear();
  joining_since_ = now;
  TimePoint due = now;
  for (const Address& gateway : gateways_) {
    attempts_.push_back({gateway, static_cast<std::uint32_t>(random_()), {}, due});
    due += kStagger;
  }
}

void GatewayLink::ask_to_join(Attempt& attempt, TimePoint now) {
  send(transfer::NewConnection{attempt.cookie, self_.boot_id, self_.name}, 0, attempt.request, handshake_sealer_,
       attempt.gateway);
  attempt.due = now + attempt.retry;
  attempt.retry = std::min(2 * attempt.retry, kLongestRetry);
}

GatewayLink::Taken GatewayLink::receive(std::span<std::uint8_t> datagram, const Address& from, TimePoint now) {
  const auto header = transfer::decode_header(datagram);
  if (const auto* reason = std::get_if<DropReason>(&header)) return *reason;
  const auto& h = std::get<Header>(header);
  return h.session == 0 ? in_handshake(h, datagram, from, now) : in_session(h, datagram, from, now);
}

GatewayLink::Taken GatewayLink::in_handshake(const Header& header, std::span<std::uint8_t> datagram,
                                             const Address& from, TimePoint now) {
  if (header.type != PacketType::challenge && header.type != PacketType::accept) return DropReason::direction;
  const auto opened = handshake_opener_.open(header, datagram);
  if (const auto* reason = std::get_if<DropReason>(&opened)) return *reason;
  auto decoded = transfer::decode_payload(header, std::get<transfer::Opened>(opened).payload);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return *reason;

  const auto attempt = std::find_if(attempts_.begin(), attempts_.end(),
                                    [&](const Attempt& one) { return one.request == header.request; });
  if (attempt == attempts_.end()) return DropReason::request;
  if (attempt->gateway != from) return DropReason::source;
  const auto& message = std::get<transfer::Message>(decoded);
  if (const auto* challenge = std::get_if<transfer::Challenge>(&message)) {
    if (attempt->cookie == challenge->cookie) return std::monostate{};  // its twin: the timer repeats, not the network
    attempt->cookie = challenge->cookie;
    attempt->retry = kFirstRetry;
    ask_to_join(*attempt, now);
  } else {
    accepted(std::get<transfer::Accept>(message), from, now);
  }
  return std::monostate{};
}

void GatewayLink::accepted(const transfer::Accept& accept, const Address& from, TimePoint now) {
  const auto key = [&](Direction direction) {
    return transfer::session_key(transfer::published_secret(), direction, self_.boot_id, accept.salt);
  };
  session_.emplace(Session{accept.session, from, transfer::Sealer(key(Direction::server_to_gateway)),
                           transfer::Opener(key(Direction::gateway_to_server)),
                           std::chrono::milliseconds(accept.heartbeat_ms), std::chrono::milliseconds(accept.silence_ms),
                           now, now});
  attempts_.clear();
}

GatewayLink::Taken GatewayLink::in_session(const Header& header, std::span<std::uint8_t> datagram, const Address& from,
                                           TimePoint now) {
  if (!session_ || header.session != session_->id) return DropReason::session;
  if (from != session_->gateway) return DropReason::source;
  const auto opened = session_->opener.open(header, datagram);
  if (const auto* reason = std::get_if<DropReason>(&opened)) return *reason;
  auto decoded = transfer::decode_payload(header, std::get<transfer::Opened>(opened).payload);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return *reason;

  session_->heard = now;
  session_->acknowledged = true;
  if (!session_->confirmed) {  // by whatever came: only a gateway that has confirmed us talks in our session
    session_->confirmed = true;
    joining_since_ = kNever;
    notices_.push_back({Change::connected, session_->gateway});
  }
  switch (header.type) {
    case PacketType::heartbeat_ack:
      return std::monostate{};
    case PacketType::request_file:
    case PacketType::cancel:
      return Question{header.request, std::get<transfer::Message>(std::move(decoded))};
    case PacketType::goodbye:
      end_session(Change::left, now);
      return std::monostate{};
    default:
      return DropReason::direction;
  }
}

TimePoint GatewayLink::silent_at() const {
  return session_->heard + (session_->confirmed ? session_->silence : std::min(session_->silence, kConfirmWithin));
}

void GatewayLink::tick(const Figures& figures, TimePoint now) {
  if (session_ && now >= silent_at()) end_session(session_->confirmed ? Change::lost : Change::refused, now);
  if (session_ && now >= session_->next_beat) beat(figures, now);
  for (Attempt& attempt : attempts_)
    if (now >= attempt.due) ask_to_join(attempt, now);
}

void GatewayLink::beat(const Figures& figures, TimePoint now) {
  send(transfer::Heartbeat{microseconds(now), figures.requests, figures.chunks, figures.drops}, session_->id, 0,
       session_->sealer, session_->gateway);
  // One that may be lost is followed by the next in half the time, the first ones at once.
  const Duration usual = session_->acknowledged ? session_->heartbeat : session_->heartbeat / 2;
  session_->next_beat = now + (session_->confirmed ? usual : std::min(usual, kFirstRetry));
  session_->acknowledged = false;
}

void GatewayLink::end_session(Change why, TimePoint now) {
  notices_.push_back({why, session_->gateway});
  session_.reset();
  join(now);
}

TimePoint GatewayLink::next_due() const {
  TimePoint next = kNever;
  if (session_) next = std::min(session_->next_beat, silent_at());
  for (const Attempt& attempt : attempts_) next = std::min(next, attempt.due);
  return next;
}

void GatewayLink::leave() {
  if (session_) send(transfer::Goodbye{}, session_->id, 0, session_->sealer, session_->gateway);
  session_.reset();
  attempts_.clear();
}

void GatewayLink::send(const transfer::Message& message, std::uint32_t session, std::uint32_t request,
                       transfer::Sealer& sealer, const Address& to) {
  std::vector<std::uint8_t> datagram(transfer::kMaxDatagram);
  datagram.resize(transfer::encode(message, session, request, datagram));
  sealer.seal(datagram);
  outgoing_.push_back({to, std::move(datagram)});
}

}  // namespace farol::fileserver
