#include "gateway/target.hpp"

#include <algorithm>

#include "http/text.hpp"
#include "transfer/codec.hpp"

namespace farol::gateway {
namespace {

constexpr std::string_view kIndex = "index.html";

bool is_plain(unsigned char byte) { return byte >= 0x20 && byte != 0x7f && byte != '\\'; }

bool has_segment(std::string_view path, std::string_view wanted) {
  for (;;) {
    const auto slash = path.find('/');
    if (path.substr(0, slash) == wanted) return true;
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

std::variant<std::string, Refusal> file_of(std::string_view target) {
  const auto encoded = http::path_of(target);
  if (!encoded) return Refusal{400, "the target must be a path (want GET /name)"};
  auto path = http::percent_decode(encoded->substr(1));
  if (!path) return Refusal{400, "a '%' in the target must be followed by two hex digits"};
  if (!std::all_of(path->begin(), path->end(), is_plain))
    return Refusal{400, "control byte or backslash in the target"};
  if (path->empty() || path->back() == '/') path->append(kIndex);
  if (has_segment(*path, ".") || has_segment(*path, "..")) return Refusal{400, "dot segment in the target"};
  if (has_segment(*path, "")) return Refusal{400, "empty segment in the target ('//')"};
  if (path->size() > transfer::kMaxPath) return Refusal{414, "the path is too long (at most 1024 bytes)"};
  if (!transfer::valid_path(*path)) return Refusal{400, "the target is not a file's path"};
  return std::move(*path);
}

}  // namespace farol::gateway
