#include "proxyctl/terminal_text.hpp"

#include <catch2/catch.hpp>

#include <clocale>

using namespace farol::proxyctl;

TEST_CASE("terminal text: what steers a terminal, hides or turns the writing around is a question mark") {
  CHECK(printable("web-1") == "web-1");
  CHECK(printable("\x1b[2J\r\n\t\x7f") == "?[2J????");
  CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
  CHECK(printable("\xc2\x9b" "31m") == "?31m");      // C1's CSI, as UTF-8
  CHECK(printable("\x9b" "31m") == "?31m");          // and as a byte that is no UTF-8
  CHECK(printable("a\xe2\x80\xae" "b\xe2\x80\x8b" "c") == "a?b?c");  // right-to-left override, zero-width space
  CHECK(printable("\xe5\x8c\x97" "\xc3\xbc") == "\xe5\x8c\x97\xc3\xbc");
  CHECK(printable("\xe5\x8c") == "??");              // cut off in the middle
}

TEST_CASE("terminal text: columns are counted, not bytes, whatever the locale") {
  std::setlocale(LC_ALL, "C");
  CHECK(columns("") == 0);
  CHECK(columns("web") == 3);
  CHECK(columns("gr\xc3\xbc\xc3\x9f") == 4);
  CHECK(columns("\xe5\x8c\x97\xe4\xba\xac") == 4);   // two wide characters
  CHECK(columns("e\xcc\x81") == 1);                  // a letter and its accent
}

TEST_CASE("terminal text: what does not fit is cut, and the rest is padded") {
  CHECK(fitted("web", 5) == "web  ");
  CHECK(fitted("web", 5, Align::right) == "  web");
  CHECK(fitted("website", 5) == "webs~");
  CHECK(fitted("website", 1) == "~");
  CHECK(fitted("website", 0).empty());
  CHECK(fitted("\xe5\x8c\x97\xe4\xba\xac\xe5\xb8\x82", 4) == "\xe5\x8c\x97~ ");  // half a character there is not
  CHECK(ascii("\xe5\x8c\x97" "gr\xc3\xbcn") == "??gr?n");
}
