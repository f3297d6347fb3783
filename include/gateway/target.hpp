#pragma once

#include <string>
#include <string_view>
#include <variant>

namespace farol::gateway {

/// Why a request is answered without asking any server: an HTTP status and a line for the client.
struct Refusal {
  int status = 0;
  std::string reason;
};

/// The file that a request target names: a path relative to the servers' roots, transfer::valid_path(). Decoded once;
/// query and fragment dropped (RFC 9112, 3.2). Bytes that are not UTF-8 pass: file names are bytes, and the server
/// knows what it has. Dot segments are refused, encoded or not: clients resolve them before they ask (RFC 3986, 6.2.2.3).
/// "/" and what ends in "/" mean the index.html in it. Pure.
std::variant<std::string, Refusal> file_of(std::string_view target);

}  // namespace farol::gateway
