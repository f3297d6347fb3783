#include "gateway/conditions.hpp"

#include <algorithm>
#include <charconv>

#include "http/text.hpp"

namespace farol::gateway {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view opaque(std::string_view etag) {
  return etag.substr(0, 2) == "W/" ? etag.substr(2) : etag;
}

enum class Compare { strong, weak };

bool matches(std::string_view ours, std::string_view theirs, Compare how) {
  if (how == Compare::weak) return opaque(ours) == opaque(theirs);
  return ours == theirs && ours.substr(0, 2) != "W/";
}

/// Whether a list of entity tags, or "*", names ours. Every field of that name counts.
bool names(const http::Request& request, std::string_view field, std::string_view ours, Compare how) {
  for (const http::Field& each : request.fields) {
    if (!http::same_word(each.name, field)) continue;
    std::string_view list = each.value;
    if (trimmed(list) == "*") return true;
    while (!list.empty()) {
      const auto open = list.find('"');
      const auto close = open == std::string_view::npos ? open : list.find('"', open + 1);
      if (close == std::string_view::npos) break;
      if (matches(ours, trimmed(list.substr(0, close + 1)), how)) return true;
      list.remove_prefix(close + 1);
      list.remove_prefix(std::min(list.size(), list.find_first_not_of(" \t,")));
    }
  }
  return false;
}

bool if_range_holds(const http::Request& request, const Validators& validators) {
  const std::string_view wanted = request.field("If-Range");
  if (wanted.empty()) return true;
  if (wanted.find('"') != std::string_view::npos) return matches(validators.etag, wanted, Compare::strong);
  return http::parse_http_date(wanted) == validators.modified;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  // More than 2^64 bytes is more than any file has.
  return error == std::errc::result_out_of_range ? ~std::uint64_t{0} : value;
}

Verdict judge_range(std::string_view field, std::uint64_t size) {
  constexpr Verdict whole{200, std::nullopt}, unsatisfiable{416, std::nullopt};
  const auto equals = field.find('=');
  if (equals == std::string_view::npos || !http::same_word(field.substr(0, equals), "bytes")) return whole;
  const std::string_view range = trimmed(field.substr(equals + 1));
  const auto dash = range.find('-');
  if (dash == std::string_view::npos || range.find(',') != std::string_view::npos) return whole;
  const std::string_view from = range.substr(0, dash), to = range.substr(dash + 1);
  const auto first = number(from), last = number(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (from.empty() && to.empty())) return whole;
  if (from.empty()) {  // the last so many bytes
    if (*last == 0 || size == 0) return unsatisfiable;
    return {206, ByteRange{size - std::min(*last, size), size - 1}};
  }
  if (last && *last < *first) return whole;
  if (*first >= size) return unsatisfiable;
  return {206, ByteRange{*first, last ? std::min(*last, size - 1) : size - 1}};
}

}  // namespace

Verdict judge(const http::Request& request, const Validators& validators, std::uint64_t size) {
  const auto date = [&](std::string_view name) { return http::parse_http_date(request.field(name)); };
  if (request.count("If-Match") != 0) {
    if (!names(request, "If-Match", validators.etag, Compare::strong)) return {412, std::nullopt};
  } else if (const auto since = date("If-Unmodified-Since"); since && validators.modified > *since) {
    return {412, std::nullopt};
  }
  if (request.count("If-None-Match") != 0) {
    if (names(request, "If-None-Match", validators.etag, Compare::weak)) return {304, std::nullopt};
  } else if (const auto since = date("If-Modified-Since"); since && validators.modified <= *since) {
    return {304, std::nullopt};
  }
  if (request.method != "GET" || request.count("Range") != 1 || !if_range_holds(request, validators))
    return {200, std::nullopt};
  return judge_range(request.field("Range"), size);
}

}  // namespace farol::gateway
