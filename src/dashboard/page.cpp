#include "dashboard/page.hpp"

#include <openssl/evp.h>

#include <array>
#include <initializer_list>
#include <stdexcept>
#include <string_view>

#include "http/text.hpp"

#define EMBEDDED(name)                       \
  extern "C" const char farol_##name##_begin[]; \
  extern "C" const char farol_##name##_end[];
EMBEDDED(index)
EMBEDDED(style)
EMBEDDED(chart_style)
EMBEDDED(chart)
EMBEDDED(format)
EMBEDDED(table)
EMBEDDED(details)
EMBEDDED(lists)
EMBEDDED(kinds)
EMBEDDED(app)
#undef EMBEDDED
#define TEXT(name) std::string_view(farol_##name##_begin, static_cast<std::size_t>(farol_##name##_end - farol_##name##_begin))

namespace farol::dashboard {
namespace {

/// SHA-256 in base64.
std::string digest(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), hash.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("no SHA-256 from the crypto library");
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), hash.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all = "\n";
  for (const std::string_view part : parts) all.append(part).append("\n");
  return all;
}

void put(std::string& document, std::string_view mark, const std::string& text) {
  const auto at = document.find(mark);
  if (at == std::string::npos) throw std::logic_error("web/index.html has no " + std::string(mark));
  document.replace(at, mark.size(), text);
}

}  // namespace

Page::Page() : document_(TEXT(index)) {
  const std::string style = joined({TEXT(chart_style), TEXT(style)});
  const std::string chart = joined({TEXT(chart)});
  const std::string script = joined({TEXT(format), TEXT(table), TEXT(details), TEXT(lists), TEXT(kinds), TEXT(app)});
  put(document_, "<!-- style -->", "<style>" + style + "</style>");
  put(document_, "<!-- chart -->", "<script>" + chart + "</script>");
  put(document_, "<!-- script -->", "<script>" + script + "</script>");
  policy_ = "default-src 'none'; script-src 'sha256-" + digest(chart) + "' 'sha256-" + digest(script) +
            "'; style-src 'sha256-" + digest(style) +
            "'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  tag_ = '"' + digest(document_) + '"';
}

http::Response Page::respond(const http::Request& request) const {
  const bool known = request.field("If-None-Match").find(tag_) != std::string_view::npos;
  http::Response response(known ? 304 : 200);
  response.add("ETag", tag_).add("Cache-Control", "no-cache");
  response.add("Content-Security-Policy", policy_).add("Referrer-Policy", "no-referrer");
  if (!known) response.body("text/html; charset=utf-8", document_);
  return response;
}

}  // namespace farol::dashboard
