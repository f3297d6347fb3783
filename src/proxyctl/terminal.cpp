#include "proxyctl/terminal.hpp"

#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>

#include "common/error.hpp"
#include "proxyctl/terminal_text.hpp"

#define NCURSES_NOMACROS
#include <curses.h>

namespace farol::proxyctl {
namespace {

constexpr int kEscapeMs = 25;  // how long an Esc waits for the rest of a key's sequence

struct Look {
  short colour;  ///< -1: the terminal's own
  attr_t attributes;
};

Look look_of(Style style) {
  switch (style) {
    case Style::plain: return {-1, A_NORMAL};
    case Style::bold: return {-1, A_BOLD};
    case Style::dim: return {-1, A_DIM};
    case Style::good: return {COLOR_GREEN, A_NORMAL};
    case Style::warning: return {COLOR_YELLOW, A_BOLD};
    case Style::bad: return {COLOR_RED, A_BOLD};
    case Style::reverse: return {-1, A_REVERSE};
    case Style::rtt: return {COLOR_CYAN, A_NORMAL};
    case Style::tcp: return {COLOR_BLUE, A_BOLD};
    case Style::loss: return {COLOR_RED, A_NORMAL};
    case Style::cpu: return {COLOR_GREEN, A_NORMAL};
    case Style::memory: return {COLOR_YELLOW, A_NORMAL};
    case Style::doubt: return {COLOR_MAGENTA, A_NORMAL};
  }
  return {-1, A_NORMAL};
}

std::string utf8_of(wint_t wide) {
  std::array<char, MB_LEN_MAX> bytes{};
  std::mbstate_t state{};
  const std::size_t length = std::wcrtomb(bytes.data(), static_cast<wchar_t>(wide), &state);
  return length <= bytes.size() ? std::string(bytes.data(), length) : std::string();
}

Key function_key(wint_t code) {
  switch (code) {
    case KEY_UP: return {Key::Kind::up, {}};
    case KEY_DOWN: return {Key::Kind::down, {}};
    case KEY_PPAGE: return {Key::Kind::page_up, {}};
    case KEY_NPAGE: return {Key::Kind::page_down, {}};
    case KEY_HOME: return {Key::Kind::home, {}};
    case KEY_END: return {Key::Kind::end, {}};
    case KEY_ENTER: return {Key::Kind::enter, {}};
    case KEY_BACKSPACE: return {Key::Kind::backspace, {}};
    default: return {};
  }
}

Key plain_key(wint_t code) {
  switch (code) {
    case '\r': case '\n': return {Key::Kind::enter, {}};
    case 27: return {Key::Kind::escape, {}};
    case 8: case 127: return {Key::Kind::backspace, {}};
    default: return code < ' ' ? Key{} : Key{Key::Kind::character, utf8_of(code)};
  }
}

}  // namespace

/// ncurses' own, gone with the terminal's other screen.
struct Terminal::Screen {
  explicit Screen(SCREEN* made) : screen(made) {}
  ~Screen() {
    ::endwin();
    ::delscreen(screen);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  SCREEN* const screen;
};

void check_terminal() {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
    throw UsageError("top wants a terminal on stdin and stdout (without one: proxyctl status, or top --json)");
}

Terminal::Terminal() {
  std::setlocale(LC_CTYPE, "");
  utf8_ = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  SCREEN* const made = ::newterm(nullptr, stdout, stdin);
  if (made == nullptr) {
    const char* const kind = std::getenv("TERM");
    throw StartError("terminals of the kind '" + printable(kind == nullptr ? "" : kind) + "' are not known here (is TERM right?)");
  }
  screen_ = std::make_unique<Screen>(made);
  ::cbreak();
  ::noecho();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::set_escdelay(kEscapeMs);
  ::curs_set(0);
  if (!::has_colors()) return;
  ::start_color();
  ::use_default_colors();
  for (short colour = 0; colour < 8; ++colour) ::init_pair(static_cast<short>(colour + 1), colour, -1);
}

Terminal::~Terminal() = default;

Size Terminal::size() const {
  return {static_cast<std::size_t>(std::max(::getmaxy(stdscr), 0)), static_cast<std::size_t>(std::max(::getmaxx(stdscr), 0))};
}

void Terminal::draw(const std::vector<Line>& lines) {
  ::werase(stdscr);
  for (std::size_t row = 0; row < lines.size(); ++row) {
    ::wmove(stdscr, static_cast<int>(row), 0);
    for (const Span& span : lines[row]) {
      const Look look = look_of(span.style);
      ::wattr_set(stdscr, look.attributes, static_cast<short>(::has_colors() ? look.colour + 1 : 0), nullptr);
      ::waddstr(stdscr, (utf8_ ? span.text : ascii(span.text)).c_str());
    }
  }
  ::wattr_set(stdscr, A_NORMAL, 0, nullptr);
  ::wrefresh(stdscr);
}

std::optional<Key> Terminal::key() {
  wint_t code = 0;
  int kind = ::wget_wch(stdscr, &code);
  for (; kind == KEY_CODE_YES && code == KEY_RESIZE; kind = ::wget_wch(stdscr, &code))  // nobody pressed that
    ::clearok(curscr, TRUE);  // who knows what is left on it
  if (kind == ERR) return std::nullopt;
  if (kind == KEY_CODE_YES) return function_key(code);
  return plain_key(code);
}

}  // namespace farol::proxyctl
