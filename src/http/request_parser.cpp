#include "http/request_parser.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>
#include <limits>
#include <utility>

#include "http/text.hpp"

namespace farol::http {
namespace {

namespace beast = boost::beast;

constexpr std::array<std::string_view, 9> kMethods = {"GET",   "HEAD",    "POST",  "PUT",    "DELETE",
                                                      "PATCH", "OPTIONS", "TRACE", "CONNECT"};
constexpr std::size_t kLongestMethod = 32;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A request line that ends in a well-formed version which is neither 1.0 nor 1.1.
bool other_version(std::string_view header) {
  const std::string_view line = header.substr(0, header.find("\r\n"));
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view version = line.substr(space + 1);
  return version.size() == 8 && version.substr(0, 5) == "HTTP/" && is_digit(version[5]) && version[6] == '.' &&
         is_digit(version[7]) && version != "HTTP/1.0" && version != "HTTP/1.1";
}

std::string to_string(beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

std::string_view Request::field(std::string_view name) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return same_word(field.name, name); });
  return found == fields.end() ? std::string_view() : found->value;
}

std::size_t Request::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const Field& field) { return same_word(field.name, name); }));
}

RequestParser::Outcome RequestParser::feed(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (stage_ == Stage::header) {
    skip_empty_lines();
    scan_header();
  }
  if (stage_ == Stage::body && buffer_.size() >= header_size_ + body_size_) {
    request_.body = buffer_.substr(header_size_, body_size_);
    stage_ = Stage::complete;
  }
  if (stage_ == Stage::failed) return Outcome::error;
  return stage_ == Stage::complete ? Outcome::request : Outcome::need_more;
}

Request RequestParser::take() {
  buffer_.erase(0, header_size_ + body_size_);
  scanned_ = line_start_ = spaces_ = target_size_ = header_size_ = body_size_ = 0;
  stage_ = Stage::header;
  expects_continue_ = false;
  skip_empty_lines();
  return std::exchange(request_, {});
}

bool RequestParser::take_continue() {
  return stage_ == Stage::body && buffer_.size() == header_size_ && std::exchange(expects_continue_, false);
}

/// RFC 9112, 2.2: some clients send an empty line behind a body.
void RequestParser::skip_empty_lines() {
  if (scanned_ > 1) return;
  while (buffer_.compare(0, 2, "\r\n") == 0) {
    buffer_.erase(0, 2);
    scanned_ = 0;
  }
}

/// Looks at each byte once and stops at the first that is wrong, so that nobody waits for the rest of what will be
/// refused anyway (TLS on a plain port, say) and no limit depends on how the bytes were cut.
void RequestParser::scan_header() {
  for (; scanned_ < buffer_.size(); ++scanned_) {
    if (scanned_ == limits_.header_bytes) return refuse(431, "the header is too large");
    const auto byte = static_cast<unsigned char>(buffer_[scanned_]);
    if (bad_byte(byte)) return;
    if (byte != '\n') continue;
    const bool empty_line = scanned_ == line_start_ + 1;
    line_start_ = scanned_ + 1;
    if (!empty_line) continue;
    header_size_ = line_start_;
    return parse_header();
  }
}

bool RequestParser::bad_byte(unsigned char byte) {
  const bool after_cr = scanned_ > 0 && buffer_[scanned_ - 1] == '\r';
  if (after_cr != (byte == '\n')) {
    refuse(400, "a line must end in CRLF");
  } else if ((byte < 0x20 && byte != '\r' && byte != '\n' && byte != '\t') || byte == 0x7f) {
    refuse(400, "control byte in the header");
  } else if ((byte == ' ' || byte == '\t') && scanned_ == line_start_) {
    refuse(400, "a line must not begin with a space");
  } else if (line_start_ == 0) {
    if (byte == ' ') {
      ++spaces_;
    } else if (spaces_ == 0 && scanned_ >= kLongestMethod) {
      refuse(501, "unknown method");
    } else if (spaces_ == 1 && ++target_size_ > limits_.target_bytes) {
      refuse(414, "the target is too long");
    }
  }
  return stage_ == Stage::failed;
}

void RequestParser::parse_header() {
  beast::http::request_parser<beast::http::empty_body> parser;
  parser.eager(false);
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes + 1));
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // check_framing() decides
  beast::error_code error;
  parser.put(boost::asio::buffer(buffer_.data(), header_size_), error);
  if (error || !parser.is_header_done()) {
    if (other_version(buffer_)) return refuse(505, "want HTTP/1.1 or HTTP/1.0");
    return refuse(400, error ? error.message() : "malformed header");
  }
  const auto& message = parser.get();
  request_.method = to_string(message.method_string());
  request_.target = to_string(message.target());
  request_.version = static_cast<int>(message.version());
  request_.keep_alive = message.keep_alive();
  for (const auto& field : message)
    request_.fields.push_back({to_string(field.name_string()), to_string(field.value())});
  stage_ = Stage::body;
  check_framing();
}

void RequestParser::check_framing() {
  if (request_.count("Transfer-Encoding") != 0)
    return refuse(400, "Transfer-Encoding is not accepted (send Content-Length)");
  const std::size_t lengths = request_.count("Content-Length");
  if (lengths > 1) return refuse(400, "more than one Content-Length");
  if (lengths == 1) {
    const std::string_view text = request_.field("Content-Length");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), body_size_);
    const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
    if (!digits || end != text.data() + text.size()) return refuse(400, "Content-Length is not a number");
    if (error != std::errc{} || body_size_ > limits_.body_bytes)
      return refuse(413, "the body is too large (at most " + std::to_string(limits_.body_bytes) + " bytes)");
  }
  const std::size_t hosts = request_.count("Host");
  if (hosts > 1 || (hosts == 0 && request_.version == 11)) return refuse(400, "want exactly one Host field");
  if (request_.field("Host").find_first_of(" \t/?#@\\,") != std::string_view::npos)
    return refuse(400, "the Host field is not a host");
  if (std::find(kMethods.begin(), kMethods.end(), request_.method) == kMethods.end())
    return refuse(501, "unknown method");
  expects_continue_ = request_.version == 11 && body_size_ > 0 && same_word(request_.field("Expect"), "100-continue");
}

void RequestParser::refuse(int status, std::string reason) {
  stage_ = Stage::failed;
  refusal_ = {status, std::move(reason)};
}

}  // namespace farol::http
