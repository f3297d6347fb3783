#include "http/response.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "http/text.hpp"

namespace farol::http {
namespace {

constexpr std::array<std::pair<int, std::string_view>, 36> kReasons = {{
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
}};

bool is_token(std::string_view text) {
  constexpr std::string_view punctuation = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           punctuation.find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

void append(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

Response& Response::add(std::string_view name, std::string_view value) {
  if (!is_token(name)) throw std::invalid_argument("a response field whose name is not a token");
  if (!is_field_value(value)) throw std::invalid_argument("control byte in response field " + std::string(name));
  fields_.push_back({std::string(name), std::string(value)});
  return *this;
}

Response& Response::body(std::string_view content_type, std::string content) {
  add("Content-Type", content_type);
  body_ = std::move(content);
  return *this;
}

Response& Response::stream(std::string_view content_type, std::uint64_t length, std::unique_ptr<BodySource> source) {
  add("Content-Type", content_type);
  streamed_ = length;
  source_ = std::move(source);
  return *this;
}

Response& Response::stream_on(std::string_view content_type, std::unique_ptr<BodySource> source) {
  return stream(content_type, kEndless, std::move(source));
}

std::string_view Response::field(std::string_view name) const {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return same_word(field.name, name); });
  return found == fields_.end() ? std::string_view() : found->value;
}

Response plain(int status, std::string_view line) {
  return Response(status).body("text/plain; charset=utf-8", std::string(line) + "\n");
}

std::string_view reason_phrase(int status) {
  const auto found = std::find_if(kReasons.begin(), kReasons.end(), [&](const auto& r) { return r.first == status; });
  return found == kReasons.end() ? "Unknown" : found->second;
}

std::string serialise(const Response& response, const Framing& framing) {
  const int status = response.status();
  const bool bodiless = status < 200 || status == 204 || status == 304;
  std::string out = "HTTP/1.1 " + std::to_string(status) + " ";
  out.append(reason_phrase(status)).append("\r\n");
  append(out, "Date", http_date(framing.now));
  for (const Field& field : response.fields()) append(out, field.name, field.value);
  if (!bodiless && !response.endless()) append(out, "Content-Length", std::to_string(response.length()));
  append(out, "X-Content-Type-Options", "nosniff");
  append(out, "Connection", framing.keep_alive && !response.endless() ? "keep-alive" : "close");
  out += "\r\n";
  if (!bodiless && !framing.head_only) out += response.body();
  return out;
}

}  // namespace farol::http
