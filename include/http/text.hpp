#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace farol::http {

/// The small words of HTTP: pure functions over text.

/// Equal but for the case of ASCII letters: field names, tokens.
bool same_word(std::string_view a, std::string_view b);

/// The path of a request target (RFC 9112, 3.2), still percent-encoded, without query and fragment. Takes the origin
/// form ("/a?b") and the absolute form ("http://host/a"); empty when it is neither.
std::optional<std::string_view> path_of(std::string_view target);

/// The query behind the path, still percent-encoded and without its '?'; empty when there is none.
std::string_view query_of(std::string_view target);

/// Decodes "%41" to "A", once; '+' is not a space. Empty when a '%' is not followed by two hex digits.
std::optional<std::string> percent_decode(std::string_view text);

/// The host of "host:port", "[v6]:port", "host": without port and brackets.
std::string_view host_of(std::string_view authority);

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), whatever the locale.
std::string http_date(std::chrono::system_clock::time_point time);
/// Reads such a date, or one of the two obsolete forms that RFC 9110 wants understood. Empty when it is none.
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

}  // namespace farol::http
