#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/body_source.hpp"
#include "http/request_parser.hpp"

namespace farol::http {

/// An answer: status, fields and the body, whole or as a source. The server adds Date, Content-Length,
/// Connection and X-Content-Type-Options. A value (copies share the source, which can be sent once); not thread-safe.
class Response {
 public:
  explicit Response(int status = 200) : status_(status) {}

  /// Throws std::invalid_argument when the name is no token or the value holds CR, LF, NUL or another control byte:
  /// what came from outside cannot end a field early.
  Response& add(std::string_view name, std::string_view value);
  Response& body(std::string_view content_type, std::string content);
  /// A body of `length` bytes that comes while it is sent. A source that fails before its first piece leaves the client
  /// without any response: find that out first.
  Response& stream(std::string_view content_type, std::uint64_t length, std::unique_ptr<BodySource> source);
  /// A body without an end of its own: it lasts until its source has no more, and the connection with it.
  Response& stream_on(std::string_view content_type, std::unique_ptr<BodySource> source);

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }
  [[nodiscard]] std::string_view field(std::string_view name) const;
  [[nodiscard]] const std::string& body() const { return body_; }
  /// Where a streamed body comes from; null when body() is all there is.
  [[nodiscard]] BodySource* source() const { return source_.get(); }
  [[nodiscard]] std::uint64_t length() const { return source_ ? streamed_ : body_.size(); }
  /// Nobody knows its length: it ends with the connection (RFC 9112, 6.3).
  [[nodiscard]] bool endless() const { return source_ && streamed_ == kEndless; }

 private:
  int status_;
  std::vector<Field> fields_;
  std::string body_;
  static constexpr std::uint64_t kEndless = ~std::uint64_t{0};

  std::uint64_t streamed_ = 0;
  std::shared_ptr<BodySource> source_;
};

/// One line of text.
Response plain(int status, std::string_view line);

/// "Not Found" for 404; "Unknown" for a code that is not in RFC 9110.
std::string_view reason_phrase(int status);

/// How one response goes onto the wire.
struct Framing {
  bool keep_alive = true;
  bool head_only = false;  ///< the answer to HEAD: the fields of GET, no body
  std::chrono::system_clock::time_point now;
};

/// The bytes of the response; of a streamed one, everything before its body.
std::string serialise(const Response& response, const Framing& framing);

}  // namespace farol::http
