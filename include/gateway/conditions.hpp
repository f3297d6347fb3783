#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/request_parser.hpp"

namespace farol::gateway {

/// What a response says about the version of its file.
struct Validators {
  std::string etag;  ///< with its quotes, and "W/" before them when it is weak
  std::chrono::sys_seconds modified{};
};

/// Bytes from `first` to `last`, both included (RFC 9110, 14).
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const ByteRange&) const = default;
};

/// What a conditional or range request comes to.
struct Verdict {
  int status = 200;                ///< 200, 206 with a range, 304, 412 or 416
  std::optional<ByteRange> range;  ///< for 206
  bool operator==(const Verdict&) const = default;
};

/// Judges If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since and, for GET, Range with If-Range, in the order
/// of RFC 9110, 13.2.2. One range is honoured; several, another unit or bad syntax mean the whole file. Pure.
Verdict judge(const http::Request& request, const Validators& validators, std::uint64_t size);

}  // namespace farol::gateway
