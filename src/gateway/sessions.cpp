#include "gateway/sessions.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

#include "common/random.hpp"

namespace farol::gateway {
namespace {

using namespace transfer;

constexpr Duration kCookieSlot = std::chrono::seconds(30);  ///< a cookie is good for one to two of these

std::int64_t slot_of(TimePoint now) { return now.time_since_epoch() / kCookieSlot; }

void append(std::vector<std::uint8_t>& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t milliseconds(Duration duration) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

/// What a server may send once its session is open.
bool is_from_server(PacketType type) {
  switch (type) {
    case PacketType::heartbeat:
    case PacketType::file_info:
    case PacketType::file_chunk:
    case PacketType::file_not_found:
    case PacketType::goodbye:
      return true;
    default:
      return false;
  }
}

}  // namespace

Sessions::Sessions(Options options, const Secret& cookies, std::uint64_t first_nonce)
    : options_(std::move(options)),
      cookies_(cookies),
      handshake_sealer_(handshake_key(published_secret(), Direction::gateway_to_server), first_nonce),
      handshake_opener_(handshake_key(published_secret(), Direction::server_to_gateway), Opener::Replays::taken) {}

Sessions::Arrived Sessions::arrived(TimePoint now, const UdpPath& path, std::span<std::uint8_t> datagram,
                                    std::span<std::uint8_t> reply) {
  Arrived result;
  const auto decoded = decode_header(datagram);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) {
    result.dropped = *reason;
  } else if (const Header& header = std::get<Header>(decoded); header.session == 0) {
    open_handshake(now, path, header, datagram, reply, result);
  } else {
    open_session(now, path, header, datagram, result);
  }
  if (result.dropped) ++dropped_[static_cast<std::size_t>(*result.dropped)];
  return result;
}

void Sessions::open_handshake(TimePoint now, const UdpPath& path, const Header& header, std::span<std::uint8_t> datagram,
                              std::span<std::uint8_t> reply, Arrived& result) {
  const auto drop = [&](DropReason reason) { result.dropped = reason; };
  if (header.type != PacketType::new_connection) return drop(DropReason::direction);
  if (!allowed(path.peer)) return drop(DropReason::not_allowed);
  const auto opened = handshake_opener_.open(header, datagram);
  if (const auto* reason = std::get_if<DropReason>(&opened)) return drop(*reason);
  const auto decoded = decode_payload(header, std::get<Opened>(opened).payload);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return drop(*reason);
  const auto& wish = std::get<NewConnection>(std::get<Message>(decoded));
  const std::int64_t slot = slot_of(now);
  if (wish.cookie == cookie(path.peer, wish, slot) || wish.cookie == cookie(path.peer, wish, slot - 1)) {
    result.reply = accept(now, path, wish, header.request, reply, result);
    return;
  }
  if (wish.cookie != Cookie{}) drop(DropReason::cookie);  // perhaps only too old: it gets a new one
  result.reply = seal_handshake(Challenge{cookie(path.peer, wish, slot)}, header.request, reply);
}

/// The same answer to the same wish: its copies may arrive twice, and ours get lost.
std::size_t Sessions::accept(TimePoint now, const UdpPath& path, const NewConnection& wish, RequestId request,
                             std::span<std::uint8_t> reply, Arrived& result) {
  drop_unconfirmed(now);
  auto session = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    const Session& other = entry.second;
    return !other.confirmed && other.boot_id == wish.boot_id && other.name == wish.name && other.path.peer == path.peer;
  });
  if (session == sessions_.end()) {
    if (sessions_.size() >= options_.most) {
      result.dropped = DropReason::full;
      return 0;
    }
    ServerId id = 0;
    while (id == 0 || sessions_.count(id) != 0) id = static_cast<ServerId>(random_bits());
    const std::uint64_t salt = random_bits();
    const auto key = [&](Direction direction) { return session_key(published_secret(), direction, wish.boot_id, salt); };
    session = sessions_
                  .emplace(id, Session{wish.name, wish.boot_id, salt, path, now, false,
                                       Sealer(key(Direction::gateway_to_server)),
                                       Opener(key(Direction::server_to_gateway))})
                  .first;
  }
  const Accept accept{session->first, session->second.salt, milliseconds(options_.heartbeat),
                      milliseconds(options_.silence)};
  return seal_handshake(accept, request, reply);
}

void Sessions::open_session(TimePoint now, const UdpPath& path, const Header& header, std::span<std::uint8_t> datagram,
                            Arrived& result) {
  const auto drop = [&](DropReason reason) { result.dropped = reason; };
  const auto found = sessions_.find(header.session);
  if (found == sessions_.end()) return drop(DropReason::session);
  if (!is_from_server(header.type)) return drop(DropReason::direction);
  Session& session = found->second;
  const auto opened = session.opener.open(header, datagram);
  if (const auto* reason = std::get_if<DropReason>(&opened)) return drop(*reason);
  auto decoded = decode_payload(header, std::get<Opened>(opened).payload);
  if (const auto* reason = std::get_if<DropReason>(&decoded)) return drop(*reason);
  if (std::get<Opened>(opened).newest) session.path = path;
  auto& message = std::get<Message>(decoded);
  if (std::holds_alternative<Goodbye>(message)) {
    result.left = found->first;
    sessions_.erase(found);
    return;
  }
  if (!session.confirmed) {
    if (!std::holds_alternative<Heartbeat>(message)) return drop(DropReason::session);
    confirm(now, found->first, session, result);
  }
  result.from = header.session;
  result.header = header;
  result.message = std::move(message);
}

void Sessions::confirm(TimePoint now, ServerId id, Session& session, Arrived& result) {
  session.confirmed = true;
  result.joined = Joined{id, session.name, session.path.peer, now - session.accepted};
  const auto older = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    return entry.first != id && entry.second.confirmed && entry.second.name == session.name;
  });
  if (older == sessions_.end()) return;
  result.left = older->first;
  sessions_.erase(older);
}

std::size_t Sessions::seal(ServerId to, RequestId request, const Message& message, std::span<std::uint8_t> out) {
  const auto found = sessions_.find(to);
  if (found == sessions_.end()) return 0;
  const std::size_t size = encode(message, to, request, out);
  if (size > 0) found->second.sealer.seal(out.first(size));
  return size;
}

std::size_t Sessions::seal_handshake(const Message& message, RequestId request, std::span<std::uint8_t> out) {
  const std::size_t size = encode(message, 0, request, out);
  if (size > 0) handshake_sealer_.seal(out.first(size));
  return size;
}

std::vector<ServerId> Sessions::confirmed() const {
  std::vector<ServerId> result;
  for (const auto& [id, session] : sessions_)
    if (session.confirmed) result.push_back(id);
  return result;
}

void Sessions::drop_unconfirmed(TimePoint now) {
  std::erase_if(sessions_, [&](const auto& entry) {
    return !entry.second.confirmed && now - entry.second.accepted >= options_.unconfirmed;
  });
}

bool Sessions::allowed(const Address& address) const {
  return std::any_of(options_.allow.begin(), options_.allow.end(),
                     [&](const Cidr& range) { return range.contains(address); });
}

/// Proves that whoever sends it receives at this address; nothing is kept for it (as RFC 9000, 8.1.2's Retry token).
Cookie Sessions::cookie(const Address& address, const NewConnection& wish, std::int64_t slot) const {
  std::vector<std::uint8_t> input(address.bytes().begin(), address.bytes().end());
  append(input, address.port());
  append(input, wish.boot_id);
  append(input, static_cast<std::uint64_t>(slot));
  input.insert(input.end(), wish.name.begin(), wish.name.end());
  Cookie result{};
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), cookies_.data(), static_cast<int>(cookies_.size()), input.data(), input.size(), result.data(),
         &size);
  return result;
}

}  // namespace farol::gateway
