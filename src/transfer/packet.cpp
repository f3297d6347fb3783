#include "transfer/packet.hpp"

namespace farol::transfer {
namespace {

struct TypeOf {
  PacketType operator()(const NewConnection&) const { return PacketType::new_connection; }
  PacketType operator()(const Challenge&) const { return PacketType::challenge; }
  PacketType operator()(const Accept&) const { return PacketType::accept; }
  PacketType operator()(const Heartbeat&) const { return PacketType::heartbeat; }
  PacketType operator()(const HeartbeatAck&) const { return PacketType::heartbeat_ack; }
  PacketType operator()(const RequestFile&) const { return PacketType::request_file; }
  PacketType operator()(const FileInfo&) const { return PacketType::file_info; }
  PacketType operator()(const FileChunk&) const { return PacketType::file_chunk; }
  PacketType operator()(const FileNotFound&) const { return PacketType::file_not_found; }
  PacketType operator()(const Cancel&) const { return PacketType::cancel; }
  PacketType operator()(const Goodbye&) const { return PacketType::goodbye; }
};

}  // namespace

PacketType type_of(const Message& message) {
  return std::visit(TypeOf{}, message);
}

std::string_view to_string(PacketType type) {
  switch (type) {
    case PacketType::new_connection:
      return "NEW_CONNECTION";
    case PacketType::challenge:
      return "CHALLENGE";
    case PacketType::accept:
      return "ACCEPT";
    case PacketType::heartbeat:
      return "HEARTBEAT";
    case PacketType::heartbeat_ack:
      return "HEARTBEAT_ACK";
    case PacketType::request_file:
      return "REQUEST_FILE";
    case PacketType::file_info:
      return "FILE_INFO";
    case PacketType::file_chunk:
      return "FILE_CHUNK";
    case PacketType::file_not_found:
      return "FILE_NOT_FOUND_ERROR";
    case PacketType::cancel:
      return "CANCEL";
    case PacketType::goodbye:
      return "GOODBYE";
  }
  return "unknown";
}

std::string_view to_string(NotFoundReason reason) {
  switch (reason) {
    case NotFoundReason::not_found:
      return "not_found";
    case NotFoundReason::forbidden:
      return "forbidden";
    case NotFoundReason::not_regular:
      return "not_regular";
    case NotFoundReason::version_changed:
      return "version_changed";
    case NotFoundReason::io_error:
      return "io_error";
    case NotFoundReason::busy:
      return "busy";
    case NotFoundReason::bad_request:
      return "bad_request";
  }
  return "unknown";
}

}  // namespace farol::transfer
