#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxyctl/top_controls.hpp"
#include "proxyctl/top_screen.hpp"

namespace farol::proxyctl {

/// Throws UsageError where stdin or stdout is no terminal.
void check_terminal();

/// The terminal on stdin and stdout as a screen, by ncurses: on its other screen, and as it was found at the end. One at
/// a time, used by one thread; that thread's signals WINCH and TSTP are ncurses' own.
class Terminal {
 public:
  /// REQUIRES: check_terminal(). Throws StartError where it is of an unknown kind.
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] Size size() const;
  void draw(const std::vector<Line>& lines);
  /// The next key that was pressed; nothing when there is none. Never waits: wait on stdin, which a change of the size
  /// interrupts.
  std::optional<Key> key();

 private:
  struct Screen;
  std::unique_ptr<Screen> screen_;
  bool utf8_ = false;
};

}  // namespace farol::proxyctl
