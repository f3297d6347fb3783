#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace farol::http {

struct Field {
  std::string name;
  std::string value;
};

/// One request, complete with its body.
struct Request {
  std::string method;
  std::string target;  ///< as it was sent: origin or absolute form, still percent-encoded
  int version = 11;    ///< 10 or 11
  bool keep_alive = true;
  std::vector<Field> fields;  ///< in the order they came
  std::string body;

  /// The first field of that name in any case; empty when there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
};

/// HTTP/1.x requests out of a stream of bytes (RFC 9112): feed it what arrived, take requests in order. It does no I/O
/// and gives the same result however the bytes are cut. Not thread-safe: one per connection.
///
/// Stricter than the RFC where leniency lets a request be smuggled past another reader of the same bytes: CRLF only, no
/// folded fields, no Transfer-Encoding, one Content-Length at most, exactly one Host in HTTP/1.1. The grammar is
/// Boost.Beast's, which sees a header only when it is complete and within the limits.
class RequestParser {
 public:
  struct Limits {
    std::size_t header_bytes = 16 * 1024;  ///< request line and fields; beyond it 431
    std::size_t target_bytes = 8 * 1024;   ///< beyond it 414
    std::size_t body_bytes = 0;            ///< beyond it 413
  };
  enum class Outcome { need_more, request, error };

  /// Why a request is refused; the connection cannot go on after it. `reason` quotes nothing of the request.
  struct Refusal {
    int status = 0;
    std::string reason;
  };

  explicit RequestParser(const Limits& limits) : limits_(limits) {}

  /// Goes on with these bytes, or with those left from before when there are none.
  Outcome feed(std::span<const std::byte> bytes);
  /// The request, after Outcome::request. What came behind it stays for the next.
  Request take();

  /// After Outcome::error.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }
  /// A part of a request is here: the peer owes the rest.
  [[nodiscard]] bool started() const { return !buffer_.empty(); }
  /// True once per request, when its sender waits for "100 Continue" before it sends the body.
  bool take_continue();

 private:
  enum class Stage { header, body, complete, failed };

  void skip_empty_lines();
  void scan_header();
  bool bad_byte(unsigned char byte);
  void parse_header();
  void check_framing();
  void refuse(int status, std::string reason);

  const Limits limits_;
  Stage stage_ = Stage::header;
  std::string buffer_;           ///< from the first byte of the present request
  std::size_t scanned_ = 0;      ///< header bytes looked at
  std::size_t line_start_ = 0;   ///< of the line that scanned_ is in
  std::size_t spaces_ = 0;       ///< in the request line
  std::size_t target_size_ = 0;  ///< as far as it has arrived
  std::size_t header_size_ = 0;  ///< with its empty line, once it is complete
  std::size_t body_size_ = 0;
  bool expects_continue_ = false;
  Request request_;
  Refusal refusal_;
};

}  // namespace farol::http
