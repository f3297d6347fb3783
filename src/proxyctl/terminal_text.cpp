#include "proxyctl/terminal_text.hpp"

#include <clocale>
#include <cwchar>

#include <locale.h>

namespace farol::proxyctl {
namespace {

/// UTF-8 in this thread for a scope, whatever the user's locale is.
class Utf8 {
 public:
  Utf8() : before_(::uselocale(utf8())) {}
  ~Utf8() { ::uselocale(before_); }
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t made = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return made;
  }
  const locale_t before_;
};

/// Invisible, or changing the direction of what follows.
bool deceives(wchar_t c) {
  return c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
         c == 0xfeff || (c >= 0xe0000 && c <= 0xe0fff);
}

struct Character {
  std::string_view bytes;
  int width = 0;  ///< -1: none that may be shown
};

/// Takes the next character, or a byte that begins none. REQUIRES: a Utf8 in this thread, text that is not empty.
Character take(std::string_view& text) {
  wchar_t wide = 0;
  std::mbstate_t state{};
  const std::size_t length = std::mbrtowc(&wide, text.data(), text.size(), &state);
  const bool good = length > 0 && length <= text.size() && !deceives(wide);
  const Character taken{text.substr(0, length > 0 && length <= text.size() ? length : 1), good ? ::wcwidth(wide) : -1};
  text.remove_prefix(taken.bytes.size());
  return taken;
}

}  // namespace

std::string printable(std::string_view text) {
  const Utf8 scope;
  std::string out;
  while (!text.empty()) {
    const Character next = take(text);
    if (next.width < 0)
      out += '?';
    else
      out += next.bytes;
  }
  return out;
}

std::size_t columns(std::string_view text) {
  const Utf8 scope;
  std::size_t sum = 0;
  while (!text.empty()) {
    const int width = take(text).width;
    sum += width < 0 ? 1 : static_cast<std::size_t>(width);
  }
  return sum;
}

std::string cut(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  if (width == 0) return {};
  const Utf8 scope;
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const Character next = take(text);
    used += next.width < 0 ? 1 : static_cast<std::size_t>(next.width);
    if (used > width - 1) break;
    out += next.bytes;
  }
  return out + '~';
}

std::string fitted(std::string_view text, std::size_t width, Align align) {
  std::string shown = cut(text, width);
  const std::string padding(width - columns(shown), ' ');  // cut() may fall short of it, before a wide character
  return align == Align::left ? shown + padding : padding + shown;
}

std::string ascii(std::string_view text) {
  const Utf8 scope;
  std::string out;
  while (!text.empty()) {
    const Character next = take(text);
    if (next.bytes.size() == 1 && next.width == 1)
      out += next.bytes;
    else
      out.append(next.width < 0 ? 1 : static_cast<std::size_t>(next.width), '?');
  }
  return out;
}

}  // namespace farol::proxyctl
